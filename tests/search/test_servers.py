"""Evolutions by a model behind a server: the same search, its costs, and what is told before it."""

import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from rankprompt.api.evolver import Evolver
from rankprompt.errors import InputError, ModelError
from rankprompt.journal.costs import Costs
from rankprompt.llm.base import Request
from rankprompt.llm.tokenizer_offsets import Offsets, word_offsets
from rankprompt.search import EvolveConfig, SearchConfig
from rankprompt.search.evolution import run_evolution
from rankprompt.search.models import model_job, offsets_of
from rankprompt.search.spending import Spending
from tests.fakes import FakeModel
from tests.search.worlds import TASK, opinion, write_ranking, write_task
from tests.servers.protocol import ProtocolServer, reply
from tests.servers.runs import prefer
from tests.servers.speaker import Speaker

Body = dict[str, Any]
OPTIONS = (" gloomy", " cheerful")
SMALL: dict[str, Any] = {
    "evaluations": 20, "population": 3, "offspring": 6, "min_length": 2, "seed": 3,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANKPROMPT_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def listing(tops: Mapping[str, float]) -> Body:
    """The reply to a completion of one token."""
    best = max(tops, key=lambda token: tops[token])
    logprobs = {"tokens": [best], "token_logprobs": [tops[best]], "top_logprobs": [dict(tops)],
                "text_offset": [0]}  # fmt: skip
    usage = {"prompt_tokens": 10, "completion_tokens": 1}
    return {"choices": [{"text": best, "finish_reason": "length", "logprobs": logprobs}],
            "usage": usage}  # fmt: skip


def mood(_: str, body: Body) -> Body:
    """As ``opinion``, behind a server."""
    answer = opinion(Request(body["prompt"], OPTIONS))
    return listing({**dict(zip(OPTIONS, answer.loglikelihoods, strict=True)), " so": -30.0})


def evolver(task: Path, output: Path, server: ProtocolServer, **options: Any) -> Evolver:
    return Evolver(task, output, model="openai:m", base_url=server.url, **SMALL | options)


def files(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in ("history.jsonl", "prompt.toml")}


def spent(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "result.json").read_text())["spent"]
    return found


def test_a_server_evolves_the_prompts_of_a_model_in_this_process(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    task = write_task(tmp_path)
    caplog.set_level(logging.INFO, "rankprompt")
    with ProtocolServer(mood, latency=0.001) as server:
        prices = {"price_in": 2.0, "price_out": 4.0}
        evolved = evolver(task, tmp_path / "far", server, concurrency=8, **prices).run()
        assert server.most <= 8
        assert server.calls == spent(tmp_path / "far")["prompts"]
        # The two examples that were asked first, to see whether the server can, are asked again.
        assert server.repeated == 2
    assert "words are pruned, for no server tells where its tokens stand" in caplog.text
    config = EvolveConfig(task, tmp_path / "near", SearchConfig(**SMALL))
    near = run_evolution(config, load=lambda _: FakeModel(opinion), tokens=lambda _: word_offsets)
    assert files(tmp_path / "far") == files(tmp_path / "near")
    assert evolved.scores == near["scores"]
    calls = server.calls
    assert spent(tmp_path / "far") == {
        "prompts": calls, "tokens": 11 * calls, "written": calls,
        "cost": pytest.approx(calls * (10 * 2 + 4) / 1e6),
    }  # fmt: skip
    assert "spent" not in near


def test_the_tokenizer_that_is_named_makes_the_genes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    served = {"model": "openai:m", "base_url": "http://localhost:1", "tokenizer": "a/folder"}
    for options, name in (
        (served, "a/folder"),
        ({"model": "local:some/id"}, "some/id"),
        ({}, "smollm2-135m"),
    ):
        asked: list[str] = []

        def tokens(name: str, asked: list[str] = asked) -> Offsets:
            asked.append(name)
            return lambda text: [(0, len(text))]

        job = model_job(Evolver(tmp_path, tmp_path, **options).config)
        assert offsets_of(job, tokens)("abc") == [(0, 3)]
        assert asked == [name]
    assert "words are pruned" not in caplog.text


def test_a_killed_process_is_resumed_and_its_money_counts(tmp_path: Path) -> None:
    task = write_task(tmp_path)
    with ProtocolServer(mood) as server:
        evolver(task, tmp_path / "whole", server, concurrency=2).run()
        needed = server.calls
    with ProtocolServer(mood, latency=0.02) as server:
        words = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
        process = subprocess.Popen(
            [
                sys.executable, "-m", "rankprompt", "evolve", "run", str(task), "--quiet",
                f"--output={tmp_path / 'killed'}", "--model=openai:m", f"--base-url={server.url}",
                "--concurrency=2", *words,
            ],
            stderr=subprocess.PIPE,
        )  # fmt: skip
        while server.calls < 60:
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        before = server.calls
        evolved = evolver(task, tmp_path / "killed", server, concurrency=2).run()
        assert files(tmp_path / "killed") == files(tmp_path / "whole")
        # One batch of 8 calls for each in flight, at the most, is asked again.
        assert needed <= server.calls <= needed + 16 + 2
        assert before < evolved.result["spent"]["prompts"] + 16
        assert server.calls - 16 - 2 <= evolved.result["spent"]["prompts"] <= server.calls


def test_a_budget_holds_over_resumes(tmp_path: Path) -> None:
    task = write_task(tmp_path)
    budget = {"max_cost": 0.0012, "price_in": 2.0, "price_out": 4.0}  # 24 / 1e6 a prompt
    with ProtocolServer(mood) as server:
        ended = evolver(task, tmp_path / "run", server, **budget).run().result
        assert ended["stop"] == "the budget of the model is spent"
        in_search = 50 + 2 * 6 * 4  # to the end of a generation
        assert 50 <= 4 * ended["evaluations"] + 2 <= in_search
        calls = server.calls
        # Nothing is left of it: the same result, at no cost.
        again = evolver(task, tmp_path / "run", server, **budget).run().result
        assert server.calls == calls
        assert again["spent"] == ended["spent"]
        assert again["evaluations"] == ended["evaluations"]
        more = evolver(task, tmp_path / "run", server, **budget | {"max_cost": 1.0}).run().result
        assert more["evaluations"] == 20
        assert more["spent"]["prompts"] == server.calls > calls


def test_a_torn_line_of_the_spending_is_left_out(tmp_path: Path) -> None:
    line = b'{"prompts": 2, "tokens": 30, "written": 4}\n'
    (tmp_path / "spent.jsonl").write_bytes(line + b'{"x": 1}\n' + line + line[:17])
    with Spending(tmp_path) as spending:
        assert (spending.costs.prompts, spending.costs.tokens, spending.costs.written) == (4, 60, 8)
        spending.add(Costs(prompts=4))
    with Spending(tmp_path) as spending:
        assert spending.costs.prompts == 8


@pytest.mark.parametrize(
    ("tops", "said"),
    [
        (
            {" cheerful": -0.5, " good": -2.0, " so": -3.0},
            "the server does not list ' gloomy' of the label 'bad' (2 of 2 answers), which then "
            "counts as the least likely token listed: it lists ' cheerful', ' good', ' so'",
        ),
        (
            {" glo": -0.5, " cheer": -2.0},
            "",
        ),
    ],
)
def test_a_verbaliser_that_the_server_does_not_list_is_told_before_the_search(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, tops: Mapping[str, float], said: str
) -> None:
    with ProtocolServer(lambda *_: listing(tops)) as server:
        evolver(write_task(tmp_path), tmp_path / "run", server, evaluations=1).run()
    warned = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert [one for one in warned if "list" in one] == [said] * bool(said)


def test_a_server_that_lists_no_verbaliser_is_refused_before_there_is_a_folder(
    tmp_path: Path,
) -> None:
    with ProtocolServer(lambda *_: listing({" so": -0.1, " what": -3.0})) as server:
        with pytest.raises(ModelError) as raised:
            evolver(write_task(tmp_path), tmp_path / "run", server).run()
        assert server.calls == 2
    assert str(raised.value) == (
        "the server lists none of ' gloomy' of the label 'bad', ' cheerful' of the label 'good' "
        "among its likely tokens; it lists ' so', ' what': take answers that the model finds "
        "likely, or vLLM, which scores any"
    )
    assert not (tmp_path / "run").exists()


def test_numbers_that_a_server_writes_are_scored(tmp_path: Path) -> None:
    """An example's number is the right answer, and long prompts bring a wrong one."""
    task = re.sub(r"\[verbalisers\][^[]*", "", TASK.replace("classification", "math"))
    path = write_task(tmp_path, task)
    for name in ("train", "dev", "test"):
        file = tmp_path / f"{name}.jsonl"
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        numbered = [{**row, "label": row["text"].split()[1]} for row in rows]
        file.write_text("".join(json.dumps(row) + "\n" for row in numbered))

    def think(*_: object) -> Body:
        return {"choices": [{"text": "<think>Well,", "finish_reason": "length"}]}

    with (
        ProtocolServer(think) as server,
        pytest.raises(ModelError, match=r"^m gives no answer to the seed prompt: thinking$"),
    ):
        evolver(path, tmp_path / "run", server).run()

    def write(_: str, body: Body) -> Body:
        number = int(re.findall(r"\d+", body["prompt"])[-1])
        wrong = len(body["prompt"]) > 40
        return {"choices": [{"text": f" {number + wrong}.\n\nReview", "finish_reason": "length"}]}

    with ProtocolServer(write) as server:
        result = evolver(path, tmp_path / "run", server, evaluations=20).run().result
    assert result["scores"]["seed"]["test"] == {"exact-number": 0.0}
    assert result["scores"]["winner"]["test"] == {"exact-number": 1.0}


def test_a_prompt_that_compares_is_evolved_and_a_likelihood_without_echo_is_refused(
    tmp_path: Path,
) -> None:
    task = write_ranking(tmp_path)
    (tmp_path / "seed.toml").write_text(
        'kind = "choice"\noptions = [" A", " B"]\n'
        'text = "Which is better?\\nQuery: {query}\\nA: {first}\\nB: {second}\\nBetter: Passage"\n'
    )
    ranking = task.read_text()
    task.write_text(f'prompt = "seed.toml"\n{ranking}')
    with ProtocolServer(Speaker(prefer)) as server:
        options = {"evaluations": 4, "min_length": 0}
        evolved = evolver(task, tmp_path / "run", server, **options).run()
        assert evolved.scores["winner"]["test"]["ndcg@10"] > 0
        assert evolved.result["spent"]["prompts"] == server.calls
    (tmp_path / "seed.toml").write_text(
        'kind = "likelihood"\ntext = "A passage\\n{passage}\\nasks:"\ntarget = " {query}"\n'
    )
    with (
        ProtocolServer(lambda *_: listing({" so": -0.1, " what": -3.0})) as server,
        pytest.raises(ModelError, match="this server cannot score given texts"),
    ):
        evolver(task, tmp_path / "other", server).run()
    assert not (tmp_path / "other").exists()


def fails(after: int) -> Callable[[str, Body], Any]:
    left = after

    def respond(path: str, body: Body) -> Any:
        nonlocal left
        left -= 1
        return mood(path, body) if left >= 0 else reply({"error": "no more"}, 402)

    return respond


def test_a_server_that_fails_half_way_leaves_what_was_finished(tmp_path: Path) -> None:
    task = write_task(tmp_path)
    with ProtocolServer(mood) as server:
        evolver(task, tmp_path / "whole", server, concurrency=1).run()
    with ProtocolServer(fails(50)) as server:
        with pytest.raises(ModelError, match="no more"):
            evolver(task, tmp_path / "failed", server, concurrency=1).run()
        port = server.port
    with ProtocolServer(mood, port=port) as server:
        evolver(task, tmp_path / "failed", server, concurrency=1).run()
    assert files(tmp_path / "failed") == files(tmp_path / "whole")


def test_openai_without_a_key_is_refused_before_it_is_asked(tmp_path: Path) -> None:
    task = write_task(tmp_path)
    with pytest.raises(InputError, match="which needs a key: set "):
        Evolver(task, tmp_path / "run", model="openai:m").run()
    assert not (tmp_path / "run").exists()
