import math
from collections.abc import Sequence
from typing import Any

import pytest

from rankprompt.llm.base import Usage
from tests.llm.openai.calls import (
    CHOOSE,
    LABELS,
    PASSAGE,
    RAW,
    A,
    Body,
    Token,
    ask,
    completed,
    listed,
    said,
    sure,
)


def chosen(
    tokens: Sequence[Token], options: tuple[str, ...] = LABELS, **message: Any
) -> list[float] | None:
    """The options' probabilities; None where they are all NaN."""
    ((answer, _),) = ask(lambda _: listed(tokens, **message), CHOOSE._replace(options=options))
    assert answer.tokens == (1,) * len(options)
    if all(math.isnan(one) for one in answer.loglikelihoods):
        return None
    return [math.exp(one) for one in answer.loglikelihoods]


def test_a_choice_asks_a_chat_for_log_probabilities() -> None:
    bodies: list[Body] = []

    def respond(body: Body) -> Body:
        bodies.append(body)
        return listed([PASSAGE, A])

    ((answer, usage),) = ask(respond, CHOOSE)
    assert [math.exp(one) for one in answer.loglikelihoods] == pytest.approx([0.64, 0.32])
    assert usage == Usage(14, 0, written=3)
    (body,) = bodies
    assert (body["logprobs"], body["top_logprobs"], body["temperature"]) == (True, 20, 0)
    assert 5 <= body["max_tokens"] <= 8


@pytest.mark.parametrize(
    "before",
    [
        [PASSAGE],
        sure("Pass", "age"),
        sure(" Passage"),
        sure("\n", "\n", "passage"),
        sure("**", "Passage"),
        sure("The", " answer", " is", ":", " Passage"),
        sure("<think>", "Passage", " B", "</think>", "\n\n", "Passage"),
        sure("Passage", " B", "</think>", "Passage"),
        sure("Sure", "!", " I", " choose", " Passage"),
        sure("The", " more", " relevant", " passage", " is", " Passage"),
    ],
)
def test_options_are_read_where_they_part(before: list[Token]) -> None:
    assert chosen([*before, A]) == pytest.approx([0.64, 0.32])
    assert chosen([*before, A, *sure("**", ".")]) == pytest.approx([0.64, 0.32])


@pytest.mark.parametrize(
    "after",
    [
        sure(" is", " more", " relevant"),
        sure(" is", " the"),
        sure(" answers", " the", " query"),
        sure(" >", " Passage", " B"),
        sure(",", " not", " Passage", " B"),
        sure(" (", "the"),
        sure("\n", "It", " does", " not"),
        sure(".", " Passage", " B", " does", " not"),
        sure("更", "相关"),
    ],
)
def test_words_that_state_a_choice_may_follow(after: list[Token]) -> None:
    assert chosen([PASSAGE, A, *after]) == pytest.approx([0.64, 0.32])


@pytest.mark.parametrize("after", [[], sure("."), sure("\n", "\n", "Both")])
@pytest.mark.parametrize("before", [[], sure("\n"), sure("**")])
def test_a_bare_letter_is_an_answer(before: list[Token], after: list[Token]) -> None:
    first: Token = ("A", {"A": 0.5, "B": 0.2, "Passage": 0.2, " B": 0.05, "**B": 0.02})
    assert chosen([*before, first, *after]) == pytest.approx([0.5, 0.27])


def test_an_option_that_is_not_listed_gets_the_least_that_is() -> None:
    last: Token = (" B", {" B": 0.9, " the": 0.05, ".": 0.002})
    assert chosen([PASSAGE, last]) == pytest.approx([0.002, 0.9])


def test_a_token_may_hold_more_than_where_the_options_part() -> None:
    assert chosen([("Passage A", {"Passage A": 0.6, "Passage B": 0.3})]) == pytest.approx(
        [0.6, 0.3]
    )
    last: Token = (" A.", {" A.": 0.5, " B": 0.3, " A\n": 0.1, " Apple": 0.05})
    assert chosen([PASSAGE, last]) == pytest.approx([0.6, 0.3])


@pytest.mark.parametrize(
    "tokens",
    [
        sure("Neither", " of", " them"),
        sure("A", " passage", " about"),
        sure("Both", " Passage", " A", " and", " Passage", " B"),
        sure("Passage", " Apple"),
        sure("Passage", " a"),
        sure("a"),
        sure("A", " or", " B"),
        sure("<think>", "Passage", " A", " is"),
        sure("Neither", " Passage", " A"),
        sure("Not", " Passage", " A"),
        sure("Passage", " A", " is", " not"),
        sure("Passage", " A", " isn't", " relevant"),
        sure("Passage", " A", " discusses", " one"),
        sure("Passage", " A", " and", " Passage", " B"),
        sure("Passage", " A", " is", " about"),
        sure("If", " Passage", " A"),
        sure("<think>", "Passage", " A", "</think>"),
        sure("<think>", "Passage", " A", "</think>", "<think>", "Passage", " A"),
    ],
)
def test_what_names_no_option_is_unreadable(tokens: list[Token]) -> None:
    assert chosen(tokens) is None


def test_reasoning_that_a_server_parts_is_no_choice() -> None:
    thought = sure("Passage", " B", "?")
    assert chosen(thought, content="", reasoning_content="Passage B?") is None
    both = [*thought, PASSAGE, A]
    found = chosen(both, content="Passage A", reasoning_content="Passage B?")
    assert found == pytest.approx([0.64, 0.32])
    # Cut off, and without a list: it is the token limit that is at fault, not the server.
    ((answer, _),) = ask(lambda _: said(None, reasoning_content="Hm."), CHOOSE)
    assert all(map(math.isnan, answer.loglikelihoods))


@pytest.mark.parametrize(
    ("options", "tokens", "expected"),
    [
        (("Yes", "No"), [("Yes", {"Yes": 0.5, " yes": 0.2, "No": 0.1, "Not": 0.1})], [0.7, 0.1]),
        (("Yes", "No"), [("\nno", {"\nno": 0.5, "NO": 0.1, "Y": 0.1})], [0.1, 0.6]),
        (("A", "B"), [("B", {"B": 0.5, "A": 0.4, "b": 0.1})], [0.4, 0.5]),
        (
            ("Passage Alpha", "Passage Apple"),
            [("Alpha", {"Alpha": 0.5, "A": 0.2, "Apple": 0.1})],
            [0.5, 0.1],
        ),
        (
            ("Passage Alpha", "Passage Apple"),
            [*sure("Passage", " A"), ("lpha", {"lpha": 0.5, "pple": 0.2})],
            [0.5, 0.2],
        ),
        (
            ("Passage 1", "Passage 2"),
            [*sure("Passage", " "), ("2", {"2": 0.6, "1": 0.3})],
            [0.3, 0.6],
        ),
        (("段落甲", "段落乙"), [*sure("段落"), ("乙", {"乙": 0.6, "甲": 0.3})], [0.3, 0.6]),
        (
            ("段落甲", "段落乙"),
            [
                *sure("段", "落"),
                (b"\xe7", {b"\xe7": 0.6, b"\xe4": 0.3}),
                *sure(b"\x94\xb2"),
            ],
            [0.6, 0.3],
        ),
    ],
)
def test_other_options(
    options: tuple[str, ...], tokens: list[Token], expected: list[float]
) -> None:
    assert chosen(tokens, options) == pytest.approx(expected)


def test_a_token_that_is_written_counts_though_it_is_not_listed() -> None:
    answer = listed([PASSAGE, A])
    last = answer["choices"][0]["logprobs"]["content"][1]
    last["top_logprobs"] = [one for one in last["top_logprobs"] if one["token"] != " A"]
    ((found, _),) = ask(lambda _: answer, CHOOSE)
    assert [math.exp(one) for one in found.loglikelihoods] == pytest.approx([0.64, 0.32])


# Without chat


def test_a_raw_choice_is_the_next_token_after_what_the_options_share() -> None:
    bodies: list[Body] = []

    def respond(body: Body) -> Body:
        bodies.append(body)
        return completed([" the"], [{" the": 0.4, " A": 0.3, " B": 0.1, "A": 0.05}])

    ((answer, usage),) = ask(respond, RAW)
    # What the model would have written there is beside the point, and "PassageA" no option.
    assert [math.exp(one) for one in answer.loglikelihoods] == pytest.approx([0.3, 0.1])
    assert bodies == [
        {
            "model": "m",
            "prompt": "Which? Answer: Passage",
            "max_tokens": 1,
            "temperature": 0,
            "logprobs": 20,
        }
    ]
    assert usage.written == 1
    assert usage.tokens == 1 + math.ceil(len("Which? Answer: Passage") / 3)


def test_a_raw_choice_of_a_server_that_lists_tokens_without_spaces() -> None:
    ((answer, _),) = ask(lambda _: completed([" the"], [{"the": 0.4, "A": 0.3, "B": 0.1}]), RAW)
    assert [math.exp(one) for one in answer.loglikelihoods] == pytest.approx([0.3, 0.1])


def test_a_raw_choice_in_the_form_of_llama_cpp() -> None:
    ((answer, _),) = ask(lambda _: {"choices": [{"text": " A", **listed([A])["choices"][0]}]}, RAW)
    assert [math.exp(one) for one in answer.loglikelihoods] == pytest.approx([0.6, 0.3])


def test_a_raw_choice_whose_options_are_not_listed_is_unreadable() -> None:
    ((answer, _),) = ask(lambda _: completed([" the"], [{" the": 0.4, " a": 0.1}]), RAW)
    assert all(map(math.isnan, answer.loglikelihoods))


def test_digits_may_come_after_a_space_of_their_own() -> None:
    tops = [{" ": 0.9, "\n": 0.1}, {"1": 0.7, "2": 0.2}]
    request = RAW._replace(options=(" Passage 1", " Passage 2"))
    ((answer, _),) = ask(lambda _: completed([" ", "1"], tops), request)
    assert [math.exp(one) for one in answer.loglikelihoods] == pytest.approx([0.7, 0.2])
