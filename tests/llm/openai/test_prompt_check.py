import logging
import math
from typing import Any

import pytest

from rankprompt.llm.openai.prompt_check import fewest_tokens
from tests.llm.openai.calls import CHOOSE, PASSAGE, SCORE, WRITE, A, Body, ask, echoed, listed, said

LONG = "Which of these passages is the best? " * 200


def counted(body: Body, tokens: Any, **details: Any) -> Body:
    return {**body, "usage": {"prompt_tokens": tokens, "completion_tokens": 2, **details}}


@pytest.mark.parametrize("tokens", [50, 100, 700, 970])
@pytest.mark.parametrize("request_", [WRITE, CHOOSE, SCORE])
def test_a_server_that_shortens_prompts_is_noticed(
    tokens: int, request_: Any, caplog: pytest.LogCaptureFixture
) -> None:
    body = listed([PASSAGE, A]) if request_ == CHOOSE else said("Passage A")
    long = request_._replace(prompt=LONG)
    with caplog.at_level(logging.WARNING, "rankprompt"):
        answers = ask(lambda _: counted(body, tokens), long, long)
    assert [answer.problem for answer, _ in answers] == ["shortened"] * 2
    assert all(math.isnan(one) for answer, _ in answers for one in answer.loglikelihoods)
    (record,) = caplog.records
    assert f"m read {tokens} tokens of a prompt of at least 9" in record.message
    assert "`passage_tokens`" in record.message


@pytest.mark.parametrize(
    ("tokens", "details"),
    [
        (1400, {}),
        (990, {}),
        (200, {}),
        (0, {}),
        (None, {}),
        ("50", {}),
        (16, {"prompt_tokens_details": {"cached_tokens": 1384}}),
        (16, {"cache_read_input_tokens": 1384}),
    ],
)
def test_other_servers_are_not_suspected(tokens: Any, details: Body) -> None:
    ((answer, _),) = ask(
        lambda _: counted(said("Passage A"), tokens, **details), WRITE._replace(prompt=LONG)
    )
    assert answer.problem == ""


def test_a_server_that_does_not_count_what_it_has_kept_is_not_suspected() -> None:
    replies = iter([1400, 20, 700])
    requests = [WRITE._replace(prompt=LONG)] * 2
    found = ask(lambda _: counted(said("Passage A"), next(replies)), *requests)
    assert [answer.problem for answer, _ in found] == ["", ""]


@pytest.mark.parametrize("text", ["", "word", "- - - -", " " * 5000, "x" * 5000, "https://a.b/c"])
def test_what_may_be_one_token_counts_as_no_more(text: str) -> None:
    assert fewest_tokens(text) <= 1


def test_ideographs_count_without_spaces() -> None:
    assert fewest_tokens("人工智能的未来" * 100) == 200


def test_an_echo_without_its_beginning_is_shortened() -> None:
    tokens = [f" {word}" for word in (LONG + " what is x").split()][-40:]
    body = echoed([*tokens, " new"], [None, *([-1.0] * 40)])
    request = SCORE._replace(prompt=LONG.strip(), options=(" what is x",))
    ((answer, _),) = ask(lambda _: body, request)
    assert answer.problem == "shortened"
