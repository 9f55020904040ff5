import math
from collections import Counter
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.errors import InputError
from rankprompt.judges.adapters.labels import find_listing
from rankprompt.judges.adapters.listwise import LikeliestLabelsFirst, WrittenPermutation
from rankprompt.judges.adapters.setwise import Selected, SelectedLabel
from rankprompt.llm.base import Answer
from rankprompt.prompts.prompt import load_prompt
from rankprompt.prompts.template import parse_template

LISTWISE, SETWISE = load_prompt("listwise"), load_prompt("setwise")
NUMBERS = replace(LISTWISE, labels="numbers")
WORDED = replace(SETWISE, answer=parse_template(" Passage {label}"))
TEXTS = ["first text", "second text", "third text", "fourth text"]


def test_passages_are_shown_under_their_labels() -> None:
    (request,) = LikeliestLabelsFirst(LISTWISE).requests("why", TEXTS)
    assert "[A] first text\n\n[B] second text\n\n[C] third" in request.prompt
    assert "these 4 passages" in request.prompt
    assert request.options == ("[A]", "[B]", "[C]", "[D]")
    (request,) = WrittenPermutation(NUMBERS).requests("why", TEXTS)
    assert "[1] first text" in request.prompt
    assert (request.options, request.max_tokens) == ((), 8 * 4)
    (request,) = Selected(SETWISE).requests("why", TEXTS[:2])
    assert request.options == (" A", " B")
    (request,) = SelectedLabel(SETWISE).requests("why", TEXTS[:2])
    assert request.max_tokens == 8


def test_more_passages_than_labels_are_refused() -> None:
    assert LikeliestLabelsFirst(LISTWISE).requests("why", ["x"] * 26)[0].options[-1] == "[Z]"
    with pytest.raises(InputError, match="27 passages at a time are more than the 26 letters of"):
        LikeliestLabelsFirst(LISTWISE).requests("why", ["x"] * 27)
    assert NUMBERS.labels == "numbers"
    LikeliestLabelsFirst(NUMBERS).requests("why", ["x"] * 27)


def test_likelihoods_order_and_select() -> None:
    answer = Answer((-3.0, -1.0, -9.0, -1.0))
    assert LikeliestLabelsFirst(LISTWISE).parse([answer], 4).answer == (1, 3, 0, 2)
    probabilities = Selected(SETWISE).parse([answer], 4).answer
    assert probabilities is not None
    assert sum(probabilities) == pytest.approx(1)
    assert probabilities[1] == probabilities[3] == pytest.approx(math.exp(2) * probabilities[0])
    for adapter in (LikeliestLabelsFirst(LISTWISE), Selected(SETWISE)):
        assert adapter.parse([Answer((math.nan,) * 4)], 4).answer is None
    assert LikeliestLabelsFirst(LISTWISE).fallback(3) == (0, 1, 2)
    assert Selected(SETWISE).fallback(4) == (0.25,) * 4


@pytest.mark.parametrize(
    ("text", "order", "repairs"),
    [
        ("[B] > [A] > [D] > [C]", (1, 0, 3, 2), {}),
        ("B > A > D > C", (1, 0, 3, 2), {}),
        ("B, A, D, C.", (1, 0, 3, 2), {}),
        ("**[B]**\n[A]\n[D]\n[C]", (1, 0, 3, 2), {}),
        ("[Ｂ] > [Ａ] > [Ｄ] > [Ｃ]", (1, 0, 3, 2), {}),
        ("I think [B] > [A] > [D] > [C]", (1, 0, 3, 2), {}),
        ("[C] > [A]", (2, 0, 1, 3), {"missing": 2}),
        ("[C] > [C] > [A] > [C]", (2, 0, 1, 3), {"missing": 2, "doubled": 2}),
        ("[D] > [Q] > [C] > [B] > [A]", (3, 2, 1, 0), {"invented": 1}),
        ("A passage I like", None, {}),
        ("", None, {}),
        ("[Q] > [R]", None, {}),
        ("All of them are good.", None, {}),
    ],
)
def test_a_written_permutation_loses_no_passage(
    text: str, order: tuple[int, ...] | None, repairs: dict[str, int]
) -> None:
    parsed = WrittenPermutation(LISTWISE).parse([Answer(text=text)], 4)
    assert parsed.answer == order
    assert +Counter(parsed.repairs) == Counter(repairs)


def test_numbers_are_read_alike() -> None:
    parsed = WrittenPermutation(NUMBERS).parse([Answer(text="[10] > [2] > [0] > [11] > [2]")], 10)
    assert parsed.answer == (9, 1, 0, 2, 3, 4, 5, 6, 7, 8)
    assert parsed.repairs == {"missing": 8, "doubled": 1, "invented": 2}
    assert WrittenPermutation(NUMBERS).parse([Answer(text="3 > 1 > 2")], 3).answer == (2, 0, 1)


@given(st.text(alphabet="ABCZ[]> ,\n1x", max_size=60), st.integers(2, 26))
def test_whatever_is_written_an_answer_is_a_permutation(text: str, number: int) -> None:
    for prompt in (LISTWISE, NUMBERS, SETWISE):
        answer = WrittenPermutation(prompt).parse([Answer(text=text)], number).answer
        assert answer is None or sorted(answer) == list(range(number))


@given(st.integers(1, 26), st.randoms(use_true_random=False))
def test_a_permutation_that_is_written_is_read(number: int, random: Random) -> None:
    order = random.sample(range(number), number)
    for prompt in (LISTWISE, NUMBERS):
        (request,) = LikeliestLabelsFirst(prompt).requests("q", ["x"] * number)
        text = " > ".join(request.options[index] for index in order)
        parsed = WrittenPermutation(prompt).parse([Answer(text=text)], number)
        assert parsed.answer == tuple(order)
        assert not any(parsed.repairs.values())


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("B", 1), (" C.", 2), ("**D**", 3), ("Passage B", 1), ("(A)", 0), ("B. B", 1),
        ("A or B", None), ("Z", None), ("The passage is about a cat", None), ("", None),
    ],
)  # fmt: skip
def test_a_written_selection_names_one(text: str, chosen: int | None) -> None:
    answer = SelectedLabel(SETWISE).parse([Answer(text=text)], 4).answer
    assert answer == (None if chosen is None else tuple(float(i == chosen) for i in range(4)))


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("I would say that passage C is the best.", 2),
        ("Passage D best answers the query", 3),
        ("The most relevant passage is: Passage B.\nIt explains the term.", 1),
        ("[C]", 2),
        ("A good one is Passage B, not passage D.", None),
        ("Passage B is the least relevant.", None),
        ("Passage C does not answer the query.", None),
        ("Passage B discusses one", None),
        ("Is it Passage B?", None),
        ("Passage Bee", None),
    ],
)
def test_a_selection_in_a_sentence_counts_where_the_sentence_chooses(
    text: str, chosen: int | None
) -> None:
    for prompt in (SETWISE, WORDED):
        answer = SelectedLabel(prompt).parse([Answer(text=text)], 4).answer
        assert answer == (None if chosen is None else tuple(float(i == chosen) for i in range(4)))


@pytest.mark.parametrize("text", ["B", "Passage B", "[B]", "C. Passage B", "The answer is B"])
def test_what_the_token_limit_cut_off_is_no_selection(text: str) -> None:
    answer = SelectedLabel(SETWISE).parse([Answer(text=text, problem="cut")], 2).answer
    assert answer is None
    whole = SelectedLabel(SETWISE).parse([Answer(text="B. It", problem="cut")], 2).answer
    assert whole == (0.0, 1.0)


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("[A] and [C] are about boats. [C] > [B] > [A]", [2, 1, 0]),
        ("[A], [B], [C] were given. [C] > [B] > [A]", [2, 1, 0]),
        ("1. [C] - It says so.\n2. [A]: in passing\n3. [B], which is not relevant", [2, 0, 1]),
        ("1) C\n2) A", [2, 0]),
        ("Ranking: C, A, and B.", [2, 0, 1]),
        ("Passage C > Passage A", [2, 0]),
        ("C", [2]),
        ("[A], [B] and [C] do not answer the query.", []),
        ("[A] is about boats.\n[B] is about cats.", []),
        ("Passage [C] is not relevant.", []),
        ("The passages are [A], [B], [C].\n\n[C] > [A] > [B]", [2, 0, 1]),
        ("Passages: [A], [B], [C]\nI cannot tell.", []),
        ("Least relevant first:\n[C]\n[B]\n[A]", []),
        ("3. [C]\n2. [B]\n1. [A]", []),
        ("In reverse order: [C] > [B] > [A]", []),
        ("[A] > [B] > [C]? No: [C] > [B] > [A]", []),
        ("[A] > [B] > [C]\nWait, no. [C] > [B] > [A]", []),
        ("[C] &gt; [A] &gt; [B]", [2, 0, 1]),
        ("[C] ≥ [A] > [B]", [2, 0, 1]),
        ("- [C]\n- [A]\n- [B]", [2, 0, 1]),
        ("From least to most relevant: [A] > [B] > [C]", []),
        ("From most to least relevant: [A], [B], [C]", [0, 1, 2]),
        ("The irrelevant passages are: [A], [B]", []),
        ("[A] > [B] > [C]. Wait: [C] > [B] > [A]", []),
    ],
)  # fmt: skip
def test_a_listing_is_told_from_prose(text: str, order: list[int]) -> None:
    assert find_listing(LISTWISE, text) == order


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("The passages are [1], [2] and [3].\n\n[2] > [1] > [3]", [1, 0, 2]),
        ("1 - [2]\n2 - [1]", []),
        ("1: 3\n2: 9\n3: 1", []),
        ("1. 3/5\n2. 5/5", []),
        ("[1-3]", []),
        ("[3, 1, 2]", [2, 0, 1]),
        ("1) Passage 2\n2) Passage 3", [1, 2]),
    ],
)
def test_numbers_that_count_are_told_from_labels(text: str, order: list[int]) -> None:
    assert find_listing(NUMBERS, text) == order


def test_a_number_that_the_token_limit_cut_off_is_left_out() -> None:
    assert find_listing(NUMBERS, "12 > 4 > 1", cut=True) == [11, 3]
    assert find_listing(NUMBERS, "12 > 4 > 1") == [11, 3, 0]
    assert find_listing(NUMBERS, "[12] > [4] > [1", cut=True) == [11, 3]
    assert find_listing(NUMBERS, "[12] > [4] > [1]", cut=True) == [11, 3, 0]
