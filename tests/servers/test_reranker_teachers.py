"""A reranker behind HTTP as a cascade's teacher: it ranks as the model does in this process."""

import json
from pathlib import Path
from typing import Any

import pytest

from rankprompt.cascade.teachers import load_teacher
from rankprompt.errors import InputError, ModelError
from rankprompt.files import read_run
from rankprompt.files.scores_file import read_scores
from rankprompt.pipeline.config import RerankConfig
from rankprompt.pipeline.rerank import run_rerank
from rankprompt.pipeline.validation import validate
from tests.configs import change
from tests.servers.classifier import small_config
from tests.servers.protocol import ProtocolServer, reply
from tests.servers.reranker import Reranker
from tests.servers.runs import KEY
from tests.servers.served_classifier import folder as folder  # fixtures
from tests.servers.served_classifier import reranker as reranker
from tests.servers.served_classifier import server as server

NOBODY = "http://localhost:1/v1"


@pytest.fixture
def config(tmp_path: Path, folder: Path) -> RerankConfig:
    local = small_config(tmp_path, folder)
    return change(
        local, model=RerankConfig().model.name, method="cascade", cascade="all", window=20,
        overlap=2, threads=None,
    )  # fmt: skip


def order(config: RerankConfig, output: Path, **options: Any) -> dict[str, list[str]]:
    run_rerank(change(config, output=output, **options))
    return {query: list(scores) for query, scores in read_run(output).items()}


def manifest(output: Path) -> Any:
    return json.loads(output.with_suffix(".json").read_text())


def served(config: RerankConfig, server: ProtocolServer, path: str = "/v1") -> RerankConfig:
    return change(config, teacher="rerank:m", base_url=server.url.removesuffix("/v1") + path)


@pytest.mark.parametrize("path", ["/v1", "/v2", "/score", ""])
def test_a_served_teacher_ranks_as_the_local_one(
    server: ProtocolServer,
    reranker: Reranker,
    config: RerankConfig,
    folder: Path,
    tmp_path: Path,
    path: str,
) -> None:
    local, other = tmp_path / "local.trec", tmp_path / "served.trec"
    tables = [tmp_path / "local.tsv", tmp_path / "served.tsv"]
    expected = order(config, local, teacher=str(folder), scores=tables[0])
    asked = change(served(config, server, path), tokenizer=str(folder))
    assert order(asked, other, scores=tables[1]) == expected
    assert expected["q1"] != [f"d{n}" for n in range(12)]
    first, second = map(read_scores, tables)
    for query, documents in first.items():
        for name, one in documents.items():
            assert second[query][name].value == pytest.approx(one.value, abs=1e-4)
            assert second[query][name].score == pytest.approx(one.score, abs=1e-4)
    (was, made), kept = (manifest(local), manifest(other)), manifest(other)["cascade"]
    assert kept["windows_kept"] == was["cascade"]["windows_kept"] > 36
    assert made["scores"]["meaning"] == was["scores"]["meaning"] == "probability of relevance"
    assert (made["model"]["judge"], made["model"]["name"]) == ("teacher", "rerank:m")
    assert made["model"]["choices_read_from"].endswith((f"of {path}/rerank", "of /score"))
    assert made["model"]["tokens_counted_by"].startswith("tokenizer ")
    # All windows of a query are in one call (TEI takes 32 at a time); no text is sent twice.
    assert made["costs"]["prompts"] == sum(reranker.sizes) <= kept["windows_kept"]
    assert made["costs"]["model_batches"] == server.calls
    assert server.calls == 3 or not path
    assert made["costs"]["prompt_tokens"] > 0


def test_a_rerun_asks_nothing_and_a_stopped_one_asks_the_rest(
    server: ProtocolServer, config: RerankConfig, tmp_path: Path
) -> None:
    whole = order(served(config, server), tmp_path / "whole.trec")
    prompts, calls = manifest(tmp_path / "whole.trec")["costs"]["prompts"], server.calls
    journal = tmp_path / "shared.journal"
    run = tmp_path / "better.trec"
    asked = change(served(config, server), journal=journal, price_in=2.0)
    with pytest.raises(ModelError, match="the budget is spent before every window has a score"):
        order(asked, run, max_prompts=prompts - 3)
    assert not (tmp_path / "better.json").exists()
    assert server.calls > calls
    out = tmp_path / "out.trec"
    assert order(asked, out) == whole
    costs = manifest(out)["costs"]
    assert costs["prompts"] == 3
    assert costs["cost"] == pytest.approx(2e-6 * costs["prompt_tokens"], abs=1e-6)
    calls = server.calls
    assert order(asked, tmp_path / "again.trec") == whole
    assert (server.calls, manifest(tmp_path / "again.trec")["costs"]["prompts"]) == (calls, 0)
    assert manifest(tmp_path / "again.trec")["costs"]["prompts_from_journal"] > 30
    # Another model at the same server is another teacher.
    order(change(asked, teacher="rerank:other"), tmp_path / "other.trec")
    assert server.calls > calls


def test_a_stage_may_have_a_served_teacher(
    server: ProtocolServer, config: RerankConfig, folder: Path, tmp_path: Path
) -> None:
    alone = order(served(config, server), tmp_path / "alone.trec", k=12, depth=8)
    url = server.url
    stages = (
        f"cascade:rerank:m@8 base_url={url} header='X-Key: {KEY}'",
        f"pointwise:{folder}@3 threads=1",
    )
    staged = change(config, method=None, stage=stages)
    found = order(staged, tmp_path / "staged.trec")
    assert {query: {*best[:3]} for query, best in found.items()} == {
        query: {*best[:3]} for query, best in alone.items()
    }
    assert {query: best[3:8] for query, best in found.items()} == {
        query: best[3:8] for query, best in alone.items()
    }
    made = manifest(tmp_path / "staged.trec")
    first, second = made["stages"]
    assert (first["model"]["name"], first["model"]["judge"]) == ("rerank:m", "teacher")
    assert first["costs"]["prompts"] > 0
    assert second["costs"]["prompts"] == 9
    assert made["config"]["stage"][0].startswith("cascade:rerank:m@8")
    assert KEY not in (tmp_path / "staged.json").read_text()


def test_what_the_manifest_says_can_be_run_again(
    server: ProtocolServer, config: RerankConfig, tmp_path: Path
) -> None:
    job = validate(change(served(config, server), output=tmp_path / "better.trec"))
    assert validate(job.config) == job
    assert job.config.judge.prompt == "relevance"


def test_failures_change_nothing_and_no_key_is_stored(
    server: ProtocolServer,
    config: RerankConfig,
    tmp_path: Path,
    reranker: Reranker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RANKPROMPT_API_KEY", KEY)
    expected = order(served(config, server), tmp_path / "good.trec")
    faults = ("429", "500", "503", "dropped", "broken", "error")
    with ProtocolServer(reranker, rate=0.4, faults=faults, seed=3) as failing:
        asked = change(served(config, failing, "/v1"), header=(f"X-Key: {KEY}",))
        assert order(asked, tmp_path / "bad.trec") == expected
        assert failing.failed.total() > 0
    assert manifest(tmp_path / "bad.trec")["costs"]["retries"] == failing.failed.total()
    for path in tmp_path.iterdir():
        assert path.is_dir() or KEY.encode() not in path.read_bytes(), path


def _scored(body: dict[str, Any], score: Any) -> dict[str, Any]:
    rows = ({"index": n, "relevance_score": score} for n in range(len(body["documents"])))
    return {"results": list(rows)}


@pytest.mark.parametrize(
    ("respond", "problem"),
    [
        (lambda _, body: _scored(body, None), "answers cannot be read.*are not numbers"),
        (lambda _, body: _scored(body, 7.0), "a score of 7 is no probability"),
        (lambda _, __: {"results": []}, "scores for 0 of"),
        (lambda _, __: reply({"detail": "Not Found"}, 404), "no model 'm', or no such path"),
        (
            lambda _, __: reply({"error": {"message": "x", "code": "content_filter"}}, 400),
            "a content filter refused a window for query",
        ),
    ],
)
def test_a_server_that_does_not_score_is_told_in_a_line(
    config: RerankConfig, tmp_path: Path, respond: Any, problem: str
) -> None:
    with (
        ProtocolServer(respond) as server,
        pytest.raises(ModelError, match=problem) as caught,
    ):
        order(served(config, server), tmp_path / "better.trec")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "better.json").exists()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"base_url": None}, "`teacher` rerank:m needs `base_url`: the base URL ends in /v1"),
        ({"teacher": "rerank:"}, "unknown teacher 'rerank:'"),
        ({"thinking": "off"}, "`thinking` plays no part in `method` cascade, `teacher` rerank:m"),
        ({"reasoning_effort": "low"}, "`reasoning_effort` plays no part in `method` cascade"),
        ({"skip_refused": True}, "`skip_refused` plays no part in `method` cascade"),
        ({"dtype": "float32"}, "`dtype` plays no part"),
        ({"model": "gpt2"}, "`model` plays no part"),
        ({"prompt": "prp"}, "`prompt` prp is of kind choice"),
        ({"prompt": "relevance-yes-no"}, "plays no part: `teacher` rerank:m is a reranker"),
        ({"instruction": "find"}, "`instruction` plays no part"),
        ({"aggregate": "learned"}, "no learned weights"),
        ({"teacher": "llm:openai:x"}, "a reranker behind a server is written rerank:MODEL"),
        ({"teacher": "llm:rerank:x"}, "a reranker behind a server is written rerank:MODEL"),
        ({"teacher": "ms-marco-minilm-l12"}, "`base_url` plays no part"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_asked(
    config: RerankConfig, tmp_path: Path, options: dict[str, Any], problem: str
) -> None:
    chosen = {"teacher": "rerank:m", "base_url": NOBODY, **options}
    with pytest.raises(InputError) as caught:
        validate(change(config, output=tmp_path / "better.trec", **chosen))
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


def test_only_a_reranking_asks_a_server() -> None:
    with pytest.raises(InputError, match="`teacher` rerank:m is behind a server, which only"):
        load_teacher("rerank:m")
