import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.judges.adapters.base import PairwiseAdapter
from rankprompt.judges.adapters.pairwise import (
    Choice,
    Contrast,
    Generation,
    Likelihood,
    pairwise_adapter,
)  # fmt: skip
from rankprompt.llm.base import Answer, Request
from rankprompt.prompts.prompt import Prompt
from rankprompt.prompts.template import parse_template

FLOATS = st.floats(-200, 0)


def choice(*options: str, chat: bool = False) -> Prompt:
    text = parse_template("{query}|{first}|{second}|")
    return Prompt("p", "choice", text, parse_template(""), options, chat, max_tokens=5)


CHOICE = choice(" Passage A", " Passage B")
CONTRAST = Prompt(
    "p",
    "contrast",
    parse_template("{first}|{second}|{label}:"),
    parse_template(" {query}?"),
    ("one", "two"),
)
LIKELIHOOD = Prompt(
    "p", "likelihood", parse_template("{passage}:"), parse_template(" {query}?"), ()
)
ALL = [Choice(CHOICE), Generation(CHOICE), Contrast(CONTRAST), Likelihood(LIKELIHOOD)]


@pytest.mark.parametrize(
    ("prompt", "mode", "expected"),
    [
        (CHOICE, "scoring", Choice),
        (CHOICE, "generation", Generation),
        (CONTRAST, "scoring", Contrast),
        (LIKELIHOOD, "scoring", Likelihood),
    ],
)
def test_the_prompt_and_the_mode_name_the_adapter(
    prompt: Prompt, mode: str, expected: type[PairwiseAdapter]
) -> None:
    assert type(pairwise_adapter(prompt, mode)) is expected


def test_scoring_asks_for_the_options_after_one_prompt() -> None:
    assert Choice(CHOICE).requests("q", ("x", "y")) == [
        Request("q|x|y|", options=(" Passage A", " Passage B"), breaks=(0, 2, 4))
    ]
    assert Choice(choice("A", "B", chat=True)).requests("q", ("x", "y"))[0].chat


def test_generation_asks_for_a_short_text() -> None:
    assert Generation(CHOICE).requests("q", ("x", "y")) == [
        Request("q|x|y|", max_tokens=5, breaks=(0, 2, 4), choices=("Passage A", "Passage B"))
    ]
    assert Generation(choice("A", "B", chat=True)).requests("q", ("x", "y"))[0].chat


def test_contrast_asks_for_the_query_under_each_label() -> None:
    assert Contrast(CONTRAST).requests("q", ("x", "y")) == [
        Request("x|y|one:", options=(" q?",), breaks=(0, 2, 4)),
        Request("x|y|two:", options=(" q?",), breaks=(0, 2, 4)),
    ]


def test_likelihood_asks_for_the_query_after_each_passage() -> None:
    assert Likelihood(LIKELIHOOD).requests("q", ("x", "y")) == [
        Request("x:", options=(" q?",), breaks=(0,)),
        Request("y:", options=(" q?",), breaks=(0,)),
    ]


@pytest.mark.parametrize("adapter", ALL[:3], ids=lambda adapter: type(adapter).__name__)
def test_a_pair_has_an_order_where_both_passages_are_shown(adapter: PairwiseAdapter) -> None:
    assert adapter.ordered
    assert adapter.passages == 2


def test_a_pair_has_no_order_where_each_passage_stands_alone() -> None:
    alone = Likelihood(LIKELIHOOD)
    assert not alone.ordered
    assert alone.passages == 1
    assert alone.requests("q", ("x", "y")) == alone.requests("q", ("y", "x"))[::-1]


@given(FLOATS, FLOATS)
def test_scoring_gives_the_first_option_s_share_of_the_probability(a: float, b: float) -> None:
    preference = Choice(CHOICE).parse([Answer((a, b), (2, 2))], 2).answer
    assert preference == pytest.approx(1 / (1 + math.exp(b - a)))
    other = Choice(CHOICE).parse([Answer((b, a), (2, 2))], 2).answer
    assert preference is not None
    assert other == pytest.approx(1 - preference)


def test_scoring_weighs_whole_options_whatever_their_number_of_tokens() -> None:
    # Equal sums are equally likely, although an option has more tokens.
    assert Choice(CHOICE).parse([Answer((-4.0, -4.0), (2, 3))], 2).answer == 0.5
    assert Choice(CHOICE).parse([Answer((math.log(0.6), math.log(0.2)), (2, 3))], 2).answer == (
        pytest.approx(0.75)
    )


@pytest.mark.parametrize("adapter", ALL[2:], ids=lambda adapter: type(adapter).__name__)
def test_the_query_s_likelihood_is_taken_by_the_token(adapter: PairwiseAdapter) -> None:
    better, worse = Answer((-4.0,), (4,)), Answer((-9.0,), (3,))
    expected = 1 / (1 + math.exp(-3 - -1))
    assert adapter.parse([better, worse], 2).answer == pytest.approx(expected)
    assert adapter.parse([worse, better], 2).answer == pytest.approx(1 - expected)
    assert adapter.parse([better, Answer((-2.0,), (2,))], 2).answer == 0.5


@pytest.mark.parametrize("gap", [800.0, 1e300, math.inf])
def test_the_widest_gaps_overflow_nothing(gap: float) -> None:
    assert Choice(CHOICE).parse([Answer((0.0, -gap), (1, 1))], 2).answer == 1
    assert Choice(CHOICE).parse([Answer((-gap, 0.0), (1, 1))], 2).answer == 0
    assert (
        Likelihood(LIKELIHOOD).parse([Answer((-gap,), (1,)), Answer((0.0,), (1,))], 2).answer == 0
    )


@pytest.mark.parametrize(
    "pair", [(math.nan, -1.0), (-1.0, math.nan), (math.nan, math.nan), (-math.inf, -math.inf)]
)
def test_what_is_not_a_number_cannot_be_read(pair: tuple[float, float]) -> None:
    assert Choice(CHOICE).parse([Answer(pair, (1, 1))], 2).answer is None
    answers = [Answer((pair[0],), (1,)), Answer((pair[1],), (1,))]
    assert Contrast(CONTRAST).parse(answers, 2).answer is None
    assert Likelihood(LIKELIHOOD).parse(answers, 2).answer is None
