"""Replies that no sound server sends: each one is refused in a line, or answered soundly."""

import json
import math
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from rankprompt.llm.base import Answer
from rankprompt.llm.openai.bounded_json import parse_json
from rankprompt.llm.openai.reading import Read, Reader
from rankprompt.llm.openai.replies import TokenEstimate, usage_of
from rankprompt.llm.openai.retrying_client import RefusedError, UnusableError
from rankprompt.llm.openai.top_logprobs import parse_options
from tests.llm.openai.calls import (
    CHOOSE,
    LABELS,
    PASSAGE,
    RAW,
    SCORE,
    WRITE,
    A,
    Body,
    ask,
    completed,
    echoed,
    listed,
    refusal,
    said,
    sure,
)
from tests.servers.protocol import Reply, reply

NUMBERS = tuple(f"[{number}]" for number in range(1, 13))
ONE: dict[str | bytes, float] = {"1": 0.9, "2": 0.05}
NUMBERED = listed([*sure("["), ("1", ONE), *sure("]")])
ECHO = echoed(
    ["Passage", ":", " x", " Question", ":", " what", " is", " x", " and"],
    [None, -1, -2, -3, -4, -0.5, -0.25, -0.125, -9],
)


def _finished(body: Body, reason: str) -> Body:
    body["choices"][0] |= {"index": 0, "finish_reason": reason}
    return {"id": "x", "created": 1, **body, "usage": {"prompt_tokens": 9, "completion_tokens": 2}}


# How a reply is read, the reply, and the number of options.
KINDS: list[tuple[Callable[[], Read], Body, int]] = [
    (lambda: Reader("m").generated("Which?"), _finished(said("Passage A"), "stop"), 0),
    (
        lambda: Reader("m").generated("Which?"),
        _finished(said([{"type": "text", "text": "A"}], reasoning_content="Hm."), "length"),
        0,
    ),
    (
        lambda: Reader("m").chosen(parse_options(LABELS), "Which?", chat=True),
        _finished(listed([PASSAGE, A]), "stop"),
        2,
    ),
    (
        lambda: Reader("m").chosen(parse_options(NUMBERS), "Which?", chat=True),
        _finished(NUMBERED, "stop"),
        12,
    ),
    (
        lambda: Reader("m").chosen(parse_options((" A", " B")), "Which?", chat=False),
        _finished(completed([" A"], [{" A": 0.6, " B": 0.3}]), "length"),
        2,
    ),
    (lambda: Reader("m").echoed("Passage: x Question: what is x", 20), _finished(ECHO, "x"), 1),
]


def _nested(depth: int) -> Any:
    value: Any = "A"
    for _ in range(depth):
        value = [value]
    return value


def _hostile(dice: random.Random) -> Any:
    values: list[Any] = [
        None, True, False, 0, -1, 1, 0.5, 1e308, -1e308, math.inf, -math.inf, math.nan, 10**30,
        -(10**30), 1 << 64, 256, -9999.0, "", "A", "Passage A", " B", "\ud83d", "\udc00\ud800",
        "\x00", "\ufffd", "Ġ", "▁A", "<0xE2>", "bytes:\\xe2", "<think>", "</think>", "length",
        "error", "content_filter", "NaN", "<|channel|>final<|message|>B", "1" * 5000, [], {}, [[]],
        [None], {"": None}, {"error": "x"}, {"code": 400, "message": "no"}, {"code": 1 << 70},
        _nested(30), _nested(150), [1, [2, {"a": -1}]],
    ]  # fmt: skip
    return dice.choice(values)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    names = list(value) if isinstance(value, dict) else []
    names = list(range(len(value))) if isinstance(value, list) else names
    for name in names:
        one = value[name]
        found += _places(one, (*path, name))
    return found


def _mutated(body: Body, dice: random.Random) -> Body:
    mutated: Body = json.loads(json.dumps(body))
    for _ in range(dice.randint(1, 3)):
        places = _places(mutated)
        if not places:
            break
        *path, last = dice.choice(places)
        holder: Any = mutated
        for name in path:
            holder = holder[name]
        kind = dice.random()
        if kind < 0.15:
            del holder[last]
        elif kind < 0.25 and isinstance(holder, list):
            holder += [holder[last]] * dice.choice([1, 50])
        elif kind < 0.35 and isinstance(holder, dict):
            holder[dice.choice(["error", "refusal", "text", "bytes", "x"])] = holder[last]
        elif kind < 0.45 and isinstance(holder[last], int | float):
            holder[last] = -holder[last] * dice.choice([1, 1e3, 1e300])
        else:
            holder[last] = _hostile(dice)
    return mutated


def _check(answer: Answer, options: int) -> None:
    assert len(answer.loglikelihoods) == len(answer.tokens) == options
    for one in answer.loglikelihoods:
        unreadable = answer.problem not in ("", "cut")
        assert math.isnan(one) if unreadable else math.isfinite(one) and one <= 0, answer
    assert all(0 <= one < 1000 for one in answer.tokens)
    if not options:
        assert bool(answer.text.strip()) == (answer.problem in ("", "cut"))
    answer.text.encode()


def _outcome(read: Read, sent: bytes) -> Answer | str:
    """The answer, or why there is none."""
    try:
        received = parse_json(sent)
    except ValueError as error:
        return str(error)
    assert isinstance(received, dict)
    usage = usage_of([received] * 9, TokenEstimate(9, 2), 0)
    assert 0 <= usage.written <= usage.tokens < 1 << 60
    try:
        return read(received)
    except (UnusableError, RefusedError) as error:
        return str(error)


@pytest.mark.parametrize("seed", range(20))
def test_mutated_replies_are_refused_or_answered_soundly(seed: int) -> None:
    dice = random.Random(seed)
    ends: Counter[str] = Counter()
    for _ in range(200):
        read, good, options = dice.choice(KINDS)
        sent = json.dumps(_mutated(good, dice)).encode()
        if dice.random() < 0.05:
            cut = dice.randrange(len(sent))
            sent = sent[:cut] + bytes(dice.choices(range(256), k=3)) + sent[cut + 2 :]
        outcome = _outcome(read(), sent)
        if isinstance(outcome, str):
            assert len(outcome) < 500
            assert "\n" not in outcome
            ends["refused"] += 1
        else:
            _check(outcome, options)
            ends[outcome.problem or "answered"] += 1
    # Neither everything is refused nor everything accepted.
    assert ends["refused"] > 20
    assert ends["answered"] > 20


def _with_top(logprob: Any) -> Body:
    body = listed([PASSAGE, A])
    body["choices"][0]["logprobs"]["content"][1]["top_logprobs"][0]["logprob"] = logprob
    return body


def _with_bytes(value: Any) -> Body:
    body = listed([PASSAGE, A])
    body["choices"][0]["logprobs"]["content"][1]["top_logprobs"][0]["bytes"] = value
    return body


@pytest.mark.parametrize(
    "body",
    [
        *map(_with_top, [1e308, math.inf, math.nan, 0.7, 10**400, True, "-0.1", [], {}]),
        *map(_with_bytes, [[256], [-1], [10**30], ["A"], [[65]], "A", {"A": 1}, [True], [65.0]]),
    ],
)
def test_what_is_no_log_probability_or_no_token_is_refused(body: Body) -> None:
    message = refusal(lambda _: body, CHOOSE)
    assert "cannot be read" in message
    assert "top_logprobs" in message


def test_probabilities_that_add_up_to_more_than_one_are_refused() -> None:
    body = listed([PASSAGE, (" A", {" A": 0.9, " B": 0.9, " C": 0.9})])
    assert "add up to more than 1" in refusal(lambda _: body, CHOOSE)


@pytest.mark.parametrize("value", [-math.inf, -1e308, -3.4e38, None])
def test_a_token_that_is_ruled_out_is_not_listed(value: float | None) -> None:
    ((answer, _),) = ask(lambda _: _with_top(value), CHOOSE)
    assert [math.exp(one) for one in answer.loglikelihoods] == pytest.approx([0.04, 0.32])


@pytest.mark.parametrize("value", [-math.inf, None, -1e300])
def test_a_given_text_with_an_impossible_token_is_not_scored(value: float | None) -> None:
    body: Body = json.loads(json.dumps(ECHO))
    body["choices"][0]["logprobs"]["token_logprobs"][6] = value
    assert "cannot score given texts" in refusal(lambda _: body, SCORE)


DEEP = b"[" * 100_000 + b"]" * 100_000


@pytest.mark.parametrize(
    "content",
    [
        DEEP,
        b'{"choices": ' + DEEP + b"}",
        b'{"error": ' + DEEP + b"}",
        b'{"choices": [{"message": {"content": ' + DEEP + b"}}]}",
        b'{"choices": [{"message": {"content": "A"}, "logprobs": ' + DEEP + b"}]}",
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
        b'{"usage": {"prompt_tokens": ' + b"9" * 5000 + b"}}",
        b"\xff\xfe",
        b"",
    ],
)
@pytest.mark.parametrize("status", [200, 400, 500])
def test_broken_json_is_told_in_a_line(content: bytes, status: int) -> None:
    message = refusal(lambda _: Reply(status, content), WRITE, retries=0)
    assert len(message) < 400


def test_a_number_of_tokens_that_cannot_be_right_is_estimated() -> None:
    body = said("Passage A") | {"usage": {"prompt_tokens": 1 << 70, "completion_tokens": -5}}
    ((_, usage),) = ask(lambda _: body, WRITE)
    assert (usage.tokens, usage.written) == (2 + 7, 7)


@pytest.mark.parametrize("request_", [WRITE, CHOOSE, RAW, SCORE])
@pytest.mark.parametrize("choices", ["A", [None], ["A"], [[]], {"0": {}}, [{}]])
def test_a_reply_without_a_choice_is_refused(request_: Any, choices: Any) -> None:
    assert "without an answer" in refusal(lambda _: {"choices": choices}, request_)


@pytest.mark.parametrize(
    "answer", [reply([]), reply("A"), reply(None), reply({"message": {"content": "A"}})]
)
def test_a_reply_of_another_form_is_refused(answer: Reply) -> None:
    assert "a reply" in refusal(lambda _: answer, WRITE)
