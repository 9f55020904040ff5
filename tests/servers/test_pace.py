"""Whole runs of calls against servers that allow only some of them, in time scaled down."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.errors import ModelError
from rankprompt.llm.base import Answer, Request, Usage
from rankprompt.llm.openai.model import OpenAIModel
from rankprompt.llm.openai.pacing import exhausted_wait, requested_wait
from rankprompt.llm.openai.retrying_client import RetryingClient
from tests.servers.protocol import ProtocolServer, Reply, reply

MINUTE = 0.6
"""Seconds that stand for a minute."""
GOOD = {"choices": [{"message": {"content": "Passage A"}}]}
Body = dict[str, Any]


class Limited:
    """Answers so many calls in each minute, and refuses the others; ``say`` makes the refusal.

    A window of a minute begins with the first call after the last window.
    """

    def __init__(self, calls: int, say: Callable[[float, int], Reply | Body]) -> None:
        self.calls, self.say = calls, say
        self.start, self.left = 0.0, 0
        self.answered: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    def __call__(self, _: str, body: Body) -> Reply | Body:
        """The reply to a call."""
        prompt, now = body["messages"][0]["content"], time.monotonic()
        if now - self.start >= MINUTE:
            self.start, self.left = now, self.calls
        if self.left:
            self.left -= 1
            self.answered[prompt] += 1
            return self.say(MINUTE - (now - self.start), self.left)
        self.refused[prompt] += 1
        return self.say(MINUTE - (now - self.start), -1)


def silent(_: float, left: int) -> Reply | Body:
    """Says no more than that there are too many."""
    return reply({"error": {"message": "slow down"}}, 429) if left < 0 else GOOD


def retry_after(wait: float, left: int) -> Reply | Body:
    return reply({"error": "slow"}, 429, retry_after=f"{wait:.3f}") if left < 0 else GOOD


def unavailable(wait: float, left: int) -> Reply | Body:
    return reply({"detail": "busy"}, 503, retry_after=f"{wait:.3f}") if left < 0 else GOOD


def google(wait: float, left: int) -> Reply | Body:
    error = {"code": 429, "message": "quota", "details": [{"retryDelay": f"{wait:.3f}s"}]}
    return reply([{"error": error}], 429) if left < 0 else GOOD


def openrouter(_: float, left: int) -> Reply | Body:
    return {"error": {"code": 429, "message": "slow"}} if left < 0 else GOOD


def headers(wait: float, left: int) -> Reply | Body:
    """Tells how many calls are left, so that a client need not try in vain."""
    about = {
        "x_ratelimit_remaining_requests": str(max(0, left)),
        "x_ratelimit_reset_requests": f"{1000 * wait:.0f}ms",
    }
    return reply({} if left < 0 else GOOD, 429 if left < 0 else 200, **about)


async def call_all(url: str, prompts: list[str], **settings: Any) -> list[tuple[Answer, Usage]]:
    """Asks all prompts, 16 at a time."""
    model = OpenAIModel("m", base_url=url, **settings)
    slots = asyncio.Semaphore(16)

    async def call(prompt: str) -> tuple[Answer, Usage]:
        async with slots:
            return await model.answer(Request(prompt, max_tokens=4, chat=True))

    try:
        return await asyncio.gather(*map(call, prompts))
    finally:
        await model.close()


@pytest.mark.parametrize(
    "say", [silent, retry_after, unavailable, google, openrouter, headers], ids=lambda f: f.__name__
)
def test_300_calls_at_100_a_minute_end_without_loss(say: Callable[[float, int], Any]) -> None:
    limited = Limited(100, say)
    prompts = [f"prompt {number}" for number in range(300)]
    with ProtocolServer(limited, latency=0.002) as server:
        # Without a retry: a refusal is no try. A minute's backoff is scaled down as well.
        done = asyncio.run(
            call_all(server.url, prompts, retries=0, pause=lambda n: 0.005 * 2 ** min(n, 7))
        )
        assert [answer.text for answer, _ in done] == ["Passage A"] * 300
        assert limited.answered == Counter(prompts)
        # At most the calls in flight are refused, and a few that try whether it is time again.
        assert limited.refused.total() <= 150
        assert sum(usage.retries for _, usage in done) == limited.refused.total()
    if say is not headers:
        assert limited.refused.total() > 0


def test_pauses_are_shared_and_the_calls_in_flight_fall() -> None:
    seen: list[float] = []

    def respond(_: str, __: Body) -> Reply | Body:
        seen.append(time.monotonic())
        refused = len(seen) <= 16
        return reply({}, 429, retry_after="0.4") if refused else GOOD

    with ProtocolServer(respond, latency=0.05) as server:
        asyncio.run(call_all(server.url, [str(number) for number in range(32)]))
        # The 17th call, of another prompt or the same, waits for the pause as well.
        assert sorted(seen)[16] - sorted(seen)[15] >= 0.35
        assert len(seen) == 16 + 32


def test_a_server_that_refuses_for_ever_is_left() -> None:
    async def go(url: str) -> None:
        client = RetryingClient(url, timeout=5.0, retries=0, pause=lambda _: 0.02, patience=0.3)
        try:
            await client.post("/chat/completions", {}, lambda one: one)
        finally:
            await client.close()

    for answer in (reply({"error": "busy"}, 429), {"error": {"code": 429, "message": "busy"}}):
        start = time.monotonic()
        with (
            ProtocolServer(lambda *_, answer=answer: answer) as server,
            pytest.raises(
                ModelError, match=r"it has refused every call for .* minutes \(429: busy"
            ),
        ):
            asyncio.run(go(server.url))
        assert 0.3 <= time.monotonic() - start < 3


@pytest.mark.parametrize(
    "error",
    [
        {"code": "insufficient_quota", "message": "You exceeded your current quota"},
        {"message": "Request too large for m on tokens per min (TPM): Limit 30000"},
    ],
)
def test_a_429_that_no_pause_helps_ends_at_once(error: Body) -> None:
    with ProtocolServer(lambda *_: reply({"error": error}, 429)) as server:
        with pytest.raises(ModelError, match=r"429: |passage_tokens"):
            asyncio.run(call_all(server.url, ["x"]))
        assert server.calls == 1


@pytest.mark.parametrize(
    ("given_headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
        ({"retry-after": "9" * 400}, float("inf")),
        ({"retry-after": "-3"}, 0),
        ({"retry-after": "nan"}, 0),
        ({"retry-after": ""}, 0),
        ({"retry-after": "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"}, 0),
        ({"retry-after": "Mon, 01 Jan 0000 00:00:00 GMT"}, 0),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1s"}, 1),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1m2s"}, 60),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "120ms"}, 0.12),
        ({"x-ratelimit-remaining-tokens": "5", "x-ratelimit-reset-tokens": "6m0s"}, 0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "3"}, 3),
        ({"x-ratelimit-remaining-requests": "0"}, 0),
    ],
)
def test_a_pause_is_read(given_headers: dict[str, str], seconds: float) -> None:
    assert requested_wait(given_headers, "") == pytest.approx(seconds)


@given(st.dictionaries(
    st.sampled_from([
        "retry-after", "retry-after-ms", "x-ratelimit-remaining", "x-ratelimit-reset",
        "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens",
    ]),
    st.text() | st.from_regex(r"-?\d{1,500}(ms|s|m|h| GMT)?", fullmatch=True),
))  # fmt: skip
def test_any_header_means_a_pause_or_none(any_headers: dict[str, str]) -> None:
    assert requested_wait(any_headers, "") >= 0
    assert 0 <= exhausted_wait(any_headers) <= 60
