import math
from typing import Any

import pytest

from rankprompt.llm.base import Request
from rankprompt.llm.openai.spelling import Match, Spelling
from tests.llm.openai.calls import CHOOSE, RAW, Token, ask, completed, listed, sure

BRACKETS = tuple(f"[{number}]" for number in range(1, 13))
NUMBERS = tuple(str(number) for number in range(1, 13))


def chosen(options: tuple[str, ...], *tokens: Token, **more: Any) -> dict[str, float]:
    """The options' probabilities, as a chat's tokens give them."""
    body = listed(tokens)
    body["choices"][0] |= more
    ((answer, _),) = ask(lambda _: body, CHOOSE._replace(options=options))
    return dict(zip(options, map(math.exp, answer.loglikelihoods), strict=True))


def digits(token: str, **tops: float) -> Token:
    return (token, {name.strip("_"): value for name, value in tops.items()})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"", Match.NONE),
        (b" P", Match.BEGUN),
        (b"passage1", Match.SPELLED),
        (b"Passage 1", Match.SPELLED),
        (b"Passage 1 ", Match.ENDED),
        (b"Passage 1.", Match.ENDED),
        (b"Passage 12", Match.NONE),
        (b"Pass age", Match.NONE),
        (b"Passage 2", Match.NONE),
    ],
)
def test_a_text_begins_spells_or_ends_an_option(text: bytes, found: Match) -> None:
    assert Spelling(["Passage", "1"], 1).match(text) == found


def test_space_ends_a_number() -> None:
    assert Spelling(["12"], 0).match(b"1 2") == Match.NONE
    assert Spelling(["1"], 1).match(b"1 2") == Match.ENDED


def test_the_next_token_parts_a_number_from_longer_ones() -> None:
    first = digits("1", _1=0.9, _3=0.06, _7=0.01)
    found = chosen(BRACKETS, *sure("["), first, ("]", {"]": 0.8, "0": 0.15, "2": 0.04}))
    assert found["[1]"] == pytest.approx(0.9 * 0.8)
    assert found["[10]"] == pytest.approx(0.9 * 0.15)
    assert found["[12]"] == pytest.approx(0.9 * 0.04)
    # Not listed there, so at most as likely as the least that is.
    assert found["[11]"] == pytest.approx(0.9 * 0.04)
    assert found["[3]"] == pytest.approx(0.06)
    assert found["[9]"] == pytest.approx(0.01)


@pytest.mark.parametrize("second", ["2", "1", "0"])
def test_a_longer_number_may_be_the_favourite(second: str) -> None:
    rest: Token = (second, {second: 0.7, "]": 0.2, "9": 0.01})
    found = chosen(BRACKETS, *sure("["), digits("1", _1=0.9, _4=0.05), rest, *sure("]"))
    assert max(found, key=lambda option: found[option]) == f"[1{second}]"
    assert found["[1]"] == pytest.approx(0.9 * 0.2)


def test_a_first_digit_that_was_not_written_is_shared() -> None:
    found = chosen(BRACKETS, *sure("["), digits("7", _7=0.5, _1=0.4, _2=0.05), *sure("]"))
    assert [found[f"[{number}]"] for number in (1, 10, 11, 12)] == pytest.approx([0.1] * 4)
    assert found["[2]"] == pytest.approx(0.05)


def test_where_numbers_are_tokens_a_digit_is_itself() -> None:
    first = digits("12", _12=0.5, _1=0.2, _11=0.1, _10=0.05, _3=0.01)
    found = chosen(BRACKETS, *sure("["), first, *sure("]"))
    assert [found[f"[{number}]"] for number in (12, 1, 11, 10)] == pytest.approx(
        [0.5, 0.2, 0.1, 0.05]
    )


@pytest.mark.parametrize(
    "after", [[], sure("\n"), sure("."), sure("<|im_end|>"), sure(" 2"), sure("")]
)
def test_a_bare_number_that_ends_is_itself(after: list[Token]) -> None:
    tops: dict[str | bytes, float] = {"1": 0.8, "2": 0.1, "3": 0.01}
    found = chosen(NUMBERS, ("1", tops), *after, finish_reason="stop")
    assert max(found, key=lambda option: found[option]) == "1"
    assert found["12"] < found["2"]


def test_letters_begin_longer_labels() -> None:
    options = ("A", "B", "AA", "AB")
    rest: Token = ("B", {"B": 0.6, "A": 0.3, ".": 0.1})
    found = chosen(options, ("A", {"A": 0.9, "B": 0.1}), rest)
    assert list(found.values()) == pytest.approx([0.09, 0.1, 0.27, 0.54])


def test_a_raw_choice_among_numbers() -> None:
    options = tuple(f" Passage {number}" for number in range(1, 13))
    request: Request = RAW._replace(options=options)
    tops = [{" 1": 0.9, " 2": 0.05}, {"\n": 0.7, "1": 0.2, "0": 0.01}]
    ((answer, _),) = ask(lambda _: completed([" 1", "\n"], tops), request)
    found = [math.exp(one) for one in answer.loglikelihoods]
    assert found[0] == pytest.approx(0.9 * 0.7)
    assert found[10] == pytest.approx(0.9 * 0.2)
    assert found[1] == pytest.approx(0.05)
