import asyncio
import logging
import time
from email.utils import formatdate

import pytest

from rankprompt.errors import ModelError
from rankprompt.llm.base import Usage
from rankprompt.llm.openai.model import OpenAIModel
from tests.llm.openai.calls import (
    KEY,
    WRITE,
    Body,
    ask,
    ask_at,
    refusal,
    said,
)
from tests.servers.protocol import FAULTS, ProtocolServer, Reply, reply


def test_no_redirect_is_followed() -> None:
    with ProtocolServer(lambda *_: said("Passage A")) as other:
        answer = reply({}, 307, location=f"{other.url}/chat/completions")
        message = refusal(lambda _: answer, WRITE)
        assert "a redirect to http://127.0.0.1" in message
        assert other.calls == 0


# A busy server is asked for longer, and a prompt without an answer counts as refused.
OTHERWISE = {"no logprobs", "429", "429 with a date", "empty"}


@pytest.mark.parametrize("fault", [one for one in FAULTS if one not in OTHERWISE])
def test_a_failure_in_passing_is_asked_again_and_not_for_ever(fault: str) -> None:
    settings = {"timeout": 0.3 if fault == "silence" else 5.0, "retries": 3}
    with ProtocolServer(lambda *_: said("Passage A"), faults=(fault,), rate=1.0) as server:
        with pytest.raises(ModelError, match=r"\(tried 4 times\)$"):
            asyncio.run(ask_at(server.url, [WRITE], settings))
        assert server.calls == 4
        server.rate = 0.0
        ((answer, usage),) = asyncio.run(ask_at(server.url, [WRITE], {}))
        assert (answer.text, usage.retries) == ("Passage A", 0)


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 529])
def test_these_are_asked_again(status: int) -> None:
    calls: list[Body] = []

    def respond(body: Body) -> Body | Reply:
        calls.append(body)
        return reply({"error": "later"}, status) if len(calls) < 3 else said("Passage A")

    ((answer, usage),) = ask(respond, WRITE)
    assert (answer.text, usage) == ("Passage A", Usage(14, 0, written=3, retries=2))


def test_the_pause_that_a_server_asks_for_is_kept() -> None:
    calls: list[float] = []

    def respond(_: Body) -> Body | Reply:
        calls.append(time.monotonic())
        return said("x") if len(calls) > 1 else reply({}, 429, retry_after="0.3")

    ask(respond, WRITE)
    assert calls[1] - calls[0] >= 0.3


@pytest.mark.parametrize(
    "pause",
    ["3600", formatdate(time.time() + 3600, usegmt=True), "inf"],
    ids=["seconds", "date", "inf"],
)
def test_a_pause_that_is_too_long_is_told(pause: str) -> None:
    message = refusal(lambda _: reply({"error": "spent"}, 429, retry_after=pause), WRITE)
    assert "it wants a pause of" in message
    assert "start the same command again" in message


@pytest.mark.parametrize("pause", ["soon", "-5", "nan", formatdate(0, usegmt=True)])
def test_a_pause_that_means_nothing_is_none(pause: str) -> None:
    message = refusal(lambda _: reply({}, 503, retry_after=pause), WRITE, retries=1)
    assert "(tried 2 times)" in message


def test_an_address_where_nobody_is_is_told_soon() -> None:
    with ProtocolServer(lambda *_: said("x")) as server:
        url = server.url
    pauses: list[int] = []

    def pause(repeated: int) -> float:
        pauses.append(repeated)
        return 0.001

    with pytest.raises(ModelError, match=r"cannot be reached: .* \(tried 3 times\)$"):
        asyncio.run(ask_at(url, [WRITE], {"pause": pause}))
    assert pauses == [0, 1]


# Address and key


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://me:hunter2@localhost/v1", "must not hold a user name, a password or a key"),
        ("https://hunter2@localhost", "must not hold a user name, a password or a key"),
        ("me:hunter2@localhost/v1", "must not hold a user name, a password or a key"),
        ("localhost:8080/v1", "not a base URL: 'localhost:8080/v1'"),
        ("ftp://localhost", "not a base URL"),
        ("http://", "not a base URL"),
        ("", "not a base URL"),
        ("http://localhost:port/v1", "cannot be read"),
        ("http://[::1/v1", "cannot be read"),
        ("http://localhost/v1?api-key=hunter2", "must not hold a user name, a password or a key"),
        ("http://localhost/v1?v=1&Access-Token=hunter2", "a password or a key"),
        ("http://localhost/v1?hunter2", "cannot be read"),
        ("http://localhost/v1#hunter2", "must not hold a # part"),
        ("http://localhost/v1?v=schlüssel", "in ASCII"),
    ],
)
def test_a_wrong_address_is_told(url: str, told: str) -> None:
    with pytest.raises(ModelError, match=told) as caught:
        OpenAIModel("m", base_url=url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("bad", ["two words", "schlüssel-geheim", "a\x00b"])
def test_a_key_that_cannot_be_sent_is_told_and_not_shown(
    bad: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "\x00" not in bad:  # which no environment holds
        monkeypatch.setenv("RANKPROMPT_API_KEY", bad)
        with pytest.raises(ModelError, match="the key in RANKPROMPT_API_KEY holds") as caught:
            OpenAIModel("m", base_url="http://localhost")
        assert bad not in str(caught.value)


def test_the_key_is_sent_and_shown_nowhere(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("RANKPROMPT_API_KEY", f"{KEY}-ours\n")
    with (
        caplog.at_level(logging.DEBUG),
        ProtocolServer(lambda *_: said(f"You sent {KEY}-ours"), rate=0.5) as server,
    ):
        requests = [WRITE._replace(prompt=str(number)) for number in range(10)]
        answers = asyncio.run(ask_at(server.url, requests, {"timeout": 0.5}))
        assert {one["authorization"] for one in server.headers} == {f"Bearer {KEY}-ours"}
    assert {answer.text for answer, _ in answers} == {"You sent [key]"}
    assert caplog.records
    assert KEY not in caplog.text
    model = OpenAIModel("m", base_url="http://localhost")
    assert KEY not in repr(model) + model.fingerprint
