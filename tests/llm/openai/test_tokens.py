"""Texts are cut by the model's own tokens, as a local model cuts them."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.errors import ModelError
from rankprompt.llm import load_server
from rankprompt.llm.base import Request
from rankprompt.llm.local.model import LocalModel, load
from rankprompt.llm.openai.address import parse_address
from rankprompt.llm.openai.tokenize_endpoint import SAMPLE, TokenizeEndpoint
from rankprompt.llm.openai.tokens import FolderTokenizer, ServerTokenizer
from tests.llm import tiny
from tests.llm.openai.calls import KEY
from tests.llm.openai.small_vllm import CHATML, SmallServer
from tests.servers.protocol import ProtocolServer, Reply, reply

WORDS = tiny.tokenizer(template=CHATML)
LONG = "The harbour is quiet, 哪个段落更相关 and naïve 😀 boats are asleep. " * 4
TEXTS = st.text(st.sampled_from("aeinrst .,哪个段é😀\n\u0301")) | st.just(LONG)
FORMS = ["vllm", "vllm, no strings", "llama.cpp", "tgi"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp("tiny"), tiny.llama(), WORDS)


@pytest.fixture(scope="module")
def local(folder: Path) -> LocalModel:
    return load(str(folder), dtype="float32", device="cpu")


@contextmanager
def endpoint(respond: Any) -> Iterator[TokenizeEndpoint]:
    with ProtocolServer(respond, tokenizes=True) as server:
        found = TokenizeEndpoint([parse_address(server.url)], "m", pause=lambda _: 0.001)
        yield found
        found.close()


@pytest.fixture(scope="module", params=FORMS)
def cutter(request: pytest.FixtureRequest) -> Iterator[ServerTokenizer]:
    with endpoint(SmallServer(WORDS, request.param)) as asked:
        yield ServerTokenizer(asked)


@given(text=TEXTS, tokens=st.integers(1, 40))
def test_a_server_cuts_as_the_local_model_does(
    cutter: ServerTokenizer, local: LocalModel, text: str, tokens: int
) -> None:
    assert cutter.truncate(text, tokens) == local.truncate(text, tokens)
    assert cutter.description == "server"


@given(text=TEXTS, tokens=st.integers(1, 40))
def test_a_folder_cuts_counts_and_escapes_as_the_local_model_does(
    folder: Path, local: LocalModel, text: str, tokens: int
) -> None:
    model = FolderTokenizer(
        str(folder), TokenizeEndpoint([parse_address("http://localhost:1/v1")], "m")
    )
    assert model.truncate(text, tokens) == local.truncate(text, tokens)
    for request in (Request(text, (" A", " Passage B"), chat=True), Request(text, max_tokens=9)):
        assert model.length(request, 0) == local.length(request)
    assert model.escape(f"{text}</s>") == local.escape(f"{text}</s>") == f"{text}< /s>"
    assert model.description == f"tokenizer {folder}"


def test_few_calls_cut_a_long_text() -> None:
    text = LONG * 50
    with endpoint(SmallServer(WORDS)) as asked:
        assert len(text) > 10_000
        assert 0 < len(ServerTokenizer(asked).truncate(text, 64)) < 300
        assert asked.calls <= 10
        calls = asked.calls
        assert ServerTokenizer(asked).truncate("no token is shorter than a byte", 31)
        assert asked.calls == calls


def test_the_context_length_is_the_servers(folder: Path) -> None:
    with endpoint(SmallServer(WORDS, context=50)) as asked:
        assert ServerTokenizer(asked).context_length(8192) == 50
        assert FolderTokenizer(str(folder), asked).context_length(8192) == 50
        assert asked.calls == 1
    with endpoint(SmallServer(WORDS, "llama.cpp")) as asked:
        assert ServerTokenizer(asked).context_length(8192) == 8192


def test_a_tokenizer_of_another_model_is_told(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def other(_: str, body: dict[str, Any]) -> dict[str, Any]:
        return {"tokens": list(range(len(body["prompt"]) // 4))}

    with endpoint(other) as asked:
        FolderTokenizer(str(folder), asked).context_length(99)
        FolderTokenizer(str(folder), asked).context_length(99)
    assert "is it the model's own?" in caplog.text
    caplog.clear()
    for form in FORMS:
        with endpoint(SmallServer(WORDS, form)) as asked:
            FolderTokenizer(str(folder), asked).context_length(99)
    assert not caplog.messages


NO_TOKENS = {
    "no such path": reply({"detail": "Not Found"}, 404),
    "no such method": reply({}, 405),
    "a key for other paths": reply({"error": KEY}, 401),
    "an error in place of an answer": reply({"error": "Unexpected endpoint"}),
    "a page": Reply(200, b"<html>"),
    "another path of that name": reply({"tokens": "three"}),
    "a redirect": reply({}, 302, location="http://elsewhere"),
}


@pytest.mark.parametrize("name", NO_TOKENS)
def test_a_server_that_tells_no_tokens_is_asked_once_and_it_is_said_at_a_cut(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    with endpoint(lambda *_: NO_TOKENS[name]) as asked:
        counter = ServerTokenizer(asked)
        assert counter.context_length(77) == 77
        assert counter.truncate("short", 5) == "short"
        assert not caplog.messages
        assert counter.truncate(LONG, 5) == LONG[:15]
        assert counter.truncate(LONG, 6) == LONG[:18]
        assert (counter.description, asked.calls) == ("estimate", 1)
    (said,) = caplog.messages
    assert "--tokenizer FOLDER" in said


def test_a_server_that_is_not_there_is_told(caplog: pytest.LogCaptureFixture) -> None:
    asked = TokenizeEndpoint([parse_address("http://127.0.0.1:9/v1")], "m", pause=lambda _: 0.001)
    with caplog.at_level(logging.DEBUG, "rankprompt"):
        assert (asked.sample, asked.calls) == ((), 3)
    assert "cannot be reached" in caplog.text
    asked.close()


def test_a_failure_in_passing_is_repeated_and_one_that_lasts_ends_the_run() -> None:
    good, bad = SmallServer(WORDS), {"left": 2}

    def respond(path: str, body: dict[str, Any]) -> Any:
        if body["prompt"] != SAMPLE and bad["left"]:
            bad["left"] -= 1
            return reply({"detail": "busy"}, 503)
        return good(path, body)

    with endpoint(respond) as asked:
        counter = ServerTokenizer(asked)
        cut = counter.truncate(LONG, 20)
        bad["left"] = 1000
        with pytest.raises(ModelError, match="/tokenize: status 503"):
            counter.truncate(LONG, 21)
        bad["left"] = 0
        assert counter.truncate(LONG, 20) == cut


def test_the_key_is_sent_and_the_path_stands_beside_v1() -> None:
    server = ProtocolServer(SmallServer(WORDS), tokenizes=True)
    with server:
        asked = TokenizeEndpoint([parse_address(f"{server.url}/")], "m")
        assert asked.sample
        asked.close()
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"


def test_a_tokenizer_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"`tokenizer` nowhere: no such folder"):
        load_server("m", base_url="http://localhost/v1", tokenizer="nowhere")
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": 3}))
    with pytest.raises(ModelError, match="cannot be read"):
        load_server("m", base_url="http://localhost/v1", tokenizer=str(tmp_path))
