"""The options of a model behind a server, from the command line to the request and the manifest."""

import json
import math
from typing import Any

import pytest

from rankprompt.llm.openai.settings import hide_header, parse_extra_body, parse_headers
from rankprompt.pipeline.validation import validate
from tests.cli.conftest import INPUTS, Collection, Command
from tests.cli.refusals import refused
from tests.configs import change, configure
from tests.servers.protocol import ProtocolServer

Body = dict[str, Any]
SECRET = "hunter2-of-the-team"


def respond(_: str, body: Body) -> Body:
    """The longer prompt's answer is A; whichever, it is read."""
    best, other = ("A", "B") if len(body["messages"][0]["content"]) % 2 else ("B", "A")
    tops = [{"token": f" {one}", "logprob": math.log(p)} for one, p in ((best, 0.9), (other, 0.1))]
    listed = [{**tops[0], "token": "Passage", "top_logprobs": [{**tops[0], "token": "Passage"}]}]
    listed.append({**tops[0], "top_logprobs": tops})
    return {
        "choices": [
            {
                "message": {"content": f"Passage {best}"},
                "finish_reason": "stop",
                "logprobs": {"content": listed},
            }
        ]
    }


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANKPROMPT_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def test_a_header_is_sent_and_its_value_written_nowhere(
    command: Command, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTHER_KEY", f"{SECRET}-2")
    headers = ("--header", f"X-Api-Key: {SECRET}", "--header", "X-Other:env:OTHER_KEY")
    with ProtocolServer(respond) as server:
        words = collection.rerank(*headers, model="openai:m", base_url=server.url)
        ran = command(*words)
        assert ran.code == 0, ran.err
        assert {one["x-api-key"] for one in server.headers} == {SECRET}
        assert {one["x-other"] for one in server.headers} == {f"{SECRET}-2"}
        manifest = json.loads(collection.output.with_suffix(".json").read_text())
        assert manifest["config"]["model"]["header"] == ["X-Api-Key:***", "X-Other:env:OTHER_KEY"]
        for path in collection.folder.iterdir():
            assert SECRET.encode() not in path.read_bytes()
        assert SECRET not in ran.out + ran.err
        calls = server.calls
        again = ("rerank", "--from", collection.output.with_suffix(".json"))
        asked = command(*again)
        assert asked.code == 2
        assert "--header X-Api-Key: give its value again" in asked.err
        assert command(*again, *headers).code == 0
        assert server.calls == calls


def test_a_secret_that_a_server_quotes_is_not_shown(
    command: Command, collection: Collection
) -> None:
    def quote(*_: object) -> Any:
        return {"error": {"code": 400, "message": f"bad key {SECRET}"}}

    with ProtocolServer(quote) as server:
        ran = command(
            *collection.rerank(
                model="openai:m", base_url=server.url, header=f"Authorization: Bearer {SECRET}"
            )
        )
    assert ran.code == 2
    assert "bad key [key]" in ran.err
    assert SECRET not in ran.err


def test_the_switches_and_fields_are_in_the_request(
    command: Command, collection: Collection
) -> None:
    bodies: list[Body] = []

    def keep(path: str, body: Body) -> Body:
        bodies.append(body)
        return respond(path, body)

    with ProtocolServer(keep) as server:
        ran = command(
            *collection.rerank(
                model="openai:m",
                base_url=server.url,
                thinking="off",
                reasoning_effort="none",
                extra_body='{"top_k": 1}',
            )
        )
    assert ran.code == 0, ran.err
    for body in bodies:
        assert body["chat_template_kwargs"] == {"enable_thinking": False}
        assert (body["reasoning_effort"], body["top_k"]) == ("none", 1)


def rerun(command: Command, collection: Collection, url: str, *more: str) -> None:
    ran = command(*collection.rerank(*more, model="openai:m", base_url=url))
    assert ran.code == 0, ran.err


def test_a_models_journal_is_good_at_another_port(command: Command, collection: Collection) -> None:
    with ProtocolServer(respond) as one, ProtocolServer(respond) as other:
        rerun(command, collection, one.url, "--model-id", "mine")
        assert one.calls > 0
        rerun(command, collection, other.url, "--model-id", "mine")
        assert other.calls == 0
        rerun(command, collection, other.url, "--model-id", "another")
        assert other.calls > 0


def test_a_journal_of_other_weights_is_not_used(command: Command, collection: Collection) -> None:
    def models(**fields: Any) -> Body:
        return {"data": [{"id": "other"}, {"id": "m", "created": 7, **fields}]}

    with ProtocolServer(respond, models=models(root="/models/v1")) as server:
        rerun(command, collection, server.url)
        calls, port = server.calls, server.port
    with ProtocolServer(respond, models=models(root="/models/v1", owned_by="x"), port=port) as same:
        rerun(command, collection, same.url)
        assert same.calls == 0
    for changed in (models(root="/models/v2"), models(root="/models/v1", meta={"n_params": 9})):
        with ProtocolServer(respond, models=changed, port=port) as server:
            rerun(command, collection, server.url)
            assert server.calls == calls


def test_a_list_of_models_that_fails_is_told_and_does_not_end_the_run(
    command: Command, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.uniform", lambda low, _: low)
    with ProtocolServer(respond, models={"error": "loading"}) as server:
        ran = command(*collection.rerank(model="openai:m", base_url=server.url))
    assert ran.code == 0
    assert "it cannot be asked which weights it has (an error in place of an answer" in ran.err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"header": "hunter2"}, "a --header is NAME:VALUE, such as X-Team:search"),
        ({"header": "X Y:hunter2"}, "a --header is NAME:VALUE"),
        ({"header": "X-Key:hunter2\nhunter2"}, "--header X-Key: its value must be ASCII"),
        ({"header": "X-Key:"}, "--header X-Key: its value must be ASCII, and not empty"),
        ({"header": "X-Key:env:NO_SUCH"}, "--header X-Key: NO_SUCH is not set in the environment"),
        ({"header": "Content-Length:9"}, "--header Content-Length is written by rankprompt itself"),
        ({"extra_body": "{"}, "--extra-body is not JSON"),
        ({"extra_body": "[1]"}, "--extra-body must be a JSON object"),
        ({"extra_body": '{"x": NaN}'}, "--extra-body is not JSON: NaN is no number of JSON"),
        ({"extra_body": "[" * 100_000}, "--extra-body is not JSON"),
        ({"extra_body": '{"messages": []}'}, "--extra-body must not hold messages"),
        ({"extra_body": '{"max_tokens": 1}'}, "--extra-body must not hold max_tokens"),
        ({"thinking": "of"}, "did you mean 'off'?"),
        ({"model_id": " "}, "--model-id is empty"),
        ({"concurrency": "many"}, "--concurrency must be a whole number or auto, not 'many'"),
        ({"concurrency": "0"}, "--concurrency must be from 1 to 10000, not 0"),
        ({"timeout": "0"}, "--timeout must be at least 0.1, not 0"),
        ({"retries": "-1"}, "--retries must be from 0 to 1000, not -1"),
    ],
)
def test_what_cannot_be_sent_is_told(
    command: Command, collection: Collection, options: dict[str, str], told: str
) -> None:
    words = {"model": "openai:m", "base_url": "http://localhost:1/v1", **options}
    ran = command(*collection.rerank(**words))
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert told in ran.err
    assert "hunter2" not in ran.err


@pytest.mark.parametrize(
    "options",
    [
        {"header": "X-Key:hunter2"},
        {"extra_body": "{}"},
        {"model_id": "x"},
        {"reasoning_effort": "low"},
        {"thinking": "on"},
        {"timeout": "9"},
        {"retries": "9"},
    ],
)
def test_what_goes_with_a_server_is_refused_elsewhere(
    command: Command, collection: Collection, options: dict[str, str]
) -> None:
    for model in (f"oracle:{collection.qrels}", "smollm2-135m"):
        ran = command(*collection.rerank(**{"model": model, **options}))
        assert ran.code == 2
        assert "goes with --model openai:MODEL" in ran.err
        assert "hunter2" not in ran.err


def test_headers_are_hidden_and_fields_parsed() -> None:
    assert parse_headers(["X-A: b:c ", "Y:d"]) == {"X-A": "b:c", "Y": "d"}
    assert [hide_header(one) for one in ("A:b", "A: env:B", "hunter2")] == [
        "A:***", "A:env:B", "***",
    ]  # fmt: skip
    assert parse_extra_body(None) == {}
    assert parse_extra_body('{"a": {"b": null}}') == {"a": {"b": None}}


def test_openai_itself_is_asked_where_no_server_is_named_and_needs_a_key(
    command: Command, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = command(*collection.rerank(model="openai:gpt-4.1-mini"))
    refused(
        ran,
        "--model openai:gpt-4.1-mini is asked at https://api.openai.com/v1, which needs a key: "
        "set OPENAI_API_KEY or RANKPROMPT_API_KEY, or give the --base-url of another server",
    )
    assert collection.files() == INPUTS
    config = configure(
        run=collection.run, queries=collection.queries, docs=collection.docs,
        output=collection.output, model="openai:gpt-4.1-mini",
    )  # fmt: skip
    for changed in (config, change(config, header=("Authorization:Bearer x",))):
        if changed is config:
            monkeypatch.setenv("OPENAI_API_KEY", SECRET)
        assert validate(changed).config.model.base_url == ("https://api.openai.com/v1",)
        monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    # Where nothing is asked, or a journal may have all answers, no key is needed.
    assert validate(config, asks=False)
    collection.output.with_suffix(".journal").write_bytes(b"")
    assert validate(config)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:1/v1")
    assert validate(config).config.model.base_url == ("http://localhost:1/v1",)


def test_a_plan_that_asks_nothing_needs_no_key(
    command: Command, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    words = (
        "plan", "--run", collection.run, "--queries", collection.queries, "--docs", collection.docs,
        "--model", "openai:gpt-4.1-mini",
    )  # fmt: skip
    refused(command(*words), "needs a key")
    ran = command(*words, "--no-calibrate")
    assert ran.code == 0, ran.err
    stage = ("--stage", "heapsort:openai:gpt-4.1-mini@2")
    assert command(*words[:-2], *stage, "--no-calibrate").code == 0
    refused(command(*words[:-2], *stage), "stage 1: .*needs a key")


def test_stages_have_a_server_each_and_no_secret_is_written(
    command: Command, collection: Collection
) -> None:
    with ProtocolServer(respond) as one, ProtocolServer(respond) as other:
        header = f"'header=X-Api-Key: {SECRET}'"
        words = collection.rerank(
            "--keep-going", "--stage", f"allpair:openai:m@3 base_url={one.url} {header}",
            "--stage", f"heapsort:openai:n@2 base_url={other.url}",
        )  # fmt: skip
        at = words.index("--model")
        ran = command(*words[:at], *words[at + 2 :])
        assert ran.code == 0, ran.err
        assert {sent["x-api-key"] for sent in one.headers} == {SECRET}
        assert other.headers
        assert not any("x-api-key" in sent for sent in other.headers)
    manifest = json.loads(collection.output.with_suffix(".json").read_text())
    assert [stage["model"]["name"] for stage in manifest["stages"]] == ["m", "n"]
    assert "X-Api-Key:***" in manifest["config"]["stage"][0]
    for path in collection.folder.iterdir():
        assert SECRET.encode() not in path.read_bytes()
    assert SECRET not in ran.out + ran.err
