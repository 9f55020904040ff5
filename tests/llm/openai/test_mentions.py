"""A label that is named is not always chosen."""

import math

import pytest

from rankprompt.llm.openai.top_logprobs import parse_options
from tests.llm.openai.calls import CHOOSE, LABELS, PASSAGE, A, ask, listed, sure

AB = parse_options(LABELS)
LETTERS = parse_options(("A", "B", "C"))
LISTED = parse_options(("[1]", "[2]", "[3]"))

AGAINST = [
    " is clearly worse.", " is off topic", " is the less relevant one", " is the least relevant.",
    "? No.", " ? Hardly.", ". Wait, no. Passage B.", ", no; the other", ", wait, the other",
    " is wrong", " is incorrect", " would be wrong", " is rejected", " is eliminated", " is hardly",
    " is unlikely to help", " is the worst", " ❌", " ✗",
    ", despite being short", " 较低",
    " is out.",
    "! No", "\n\nActually, that is wrong.", ".\nSorry, I meant the other.", "\nis not relevant",
    ", which is worse", ", not relevant", ", but Passage B is better", "; however, the other",
    " is relevant, but Passage B", " is relevant. Passage B is more relevant.", "。不对",
    "\nPassage B is the best", " is relevant, and Passage B is much better",
    ", not.", ", not", "; not", " is too general", " is misleading", " is the second best", " 👎",
    " discusses",
    " is far from relevant", " / Passage B", " & Passage B", " < Passage B",
]  # fmt: skip
FOR = [
    "", ".", " is more relevant", " is more relevant because Passage B is off topic",
    " is better, as it is not wrong", " is more relevant, while Passage B is worse",
    ", not Passage B", ", not Passage", ", and Passage B is off topic",
    " is better than Passage B, which is worse", ". It explains the steps.", " > Passage B",
    "\n\nPassage B is less relevant.", ". No doubt.", " is correct.", "更相关，B不相关",
    " is more relevant since the other is wrong", ". Passage B is not the best.", "!",
    ", the other is off topic", " is", " is significantly", " is by far the", " is the winner",
]  # fmt: skip


@pytest.mark.parametrize("lead", ["Passage A", "**Passage A**", "The answer is Passage A"])
def test_what_speaks_against_an_option_does_not_choose_it(lead: str) -> None:
    chosen = [after for after in AGAINST if AB.find(lead + after)]
    assert chosen == []


@pytest.mark.parametrize("lead", ["Passage A", "**Passage A**", "\n`Passage A`"])
def test_a_reason_against_the_other_option_chooses(lead: str) -> None:
    missed = [after for after in FOR if not AB.find(lead + after)]
    assert missed == []


@pytest.mark.parametrize(
    "text",
    ["A? No.", "B. Wait, no. C.", "C, no", "A. Actually B.", "B\n\nSorry, C.", "A is the worst",
     "(B)? Hardly"],
)  # fmt: skip
def test_a_bare_label_may_be_taken_back(text: str) -> None:
    assert LETTERS.find(text) is None


def test_a_bare_number_of_a_text_may_be_taken_back() -> None:
    assert parse_options((" Passage 1", " Passage 2")).find("1. Wait, no. 2.") is None


@pytest.mark.parametrize("text", ["A", "B.", "(C)", "**A**", "B\nIt explains it.", "C, not A"])
def test_a_bare_label_chooses(text: str) -> None:
    assert LETTERS.find(text)


@pytest.mark.parametrize("after", ["。不对，段落乙", "较差", "？不", " 排除"])
def test_labels_without_spaces_may_be_mentioned(after: str) -> None:
    options = parse_options(("段落甲", "段落乙"))
    assert options.find("段落甲" + after) is None
    assert options.find("段落甲更相关，因为段落乙较差")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("0", "1", "2", "3"), "0. Not relevant"),
        (("1", "2", "3"), "1, not about it"),
        ((" Y", " N"), "N, it is off topic"),
        (("是", "否"), "否，该段落不相关"),
    ],
)
def test_words_that_deny_may_follow_a_grade(options: tuple[str, ...], text: str) -> None:
    assert parse_options(options).find(text)


@pytest.mark.parametrize("text", ["[2]", "[2] > [1] > [3]", "[2], [1], [3]", "[2]\n[1]"])
def test_the_first_of_a_list_is_chosen(text: str) -> None:
    assert LISTED.find(text)


@pytest.mark.parametrize("text", ["[2] is irrelevant", "[2] is less relevant", "[2]? No"])
def test_the_first_of_a_list_may_be_mentioned(text: str) -> None:
    assert LISTED.find(text) is None


@pytest.mark.parametrize(
    "heading",
    ["Less relevant:", "Not relevant:", "**Least relevant:**", "### Worse", "**Irrelevant**",
     "Excluded：", "I would reject this one:", "不相关："],
)  # fmt: skip
@pytest.mark.parametrize("gap", ["\n", "\n\n", " \n**"])
def test_a_heading_turns_an_answer_round(heading: str, gap: str) -> None:
    assert AB.find(f"{heading}{gap}Passage A\nIt discusses") is None


@pytest.mark.parametrize(
    "heading", ["More relevant:", "Answer:", "### Answer", "**Verdict**", "Hm."]
)
def test_another_heading_does_not(heading: str) -> None:
    assert AB.find(f"{heading}\n\nPassage A\n")


@pytest.mark.parametrize("text", ["No", "No.", "Yes, not off", "yes"])
def test_options_in_words_may_deny(text: str) -> None:
    assert parse_options(("Yes", "No")).find(text)


@pytest.mark.parametrize(
    "after",
    [
        sure(" is", " clearly", " worse"),
        sure(" ❌"),
        sure("?", " No"),
        sure(".", " Wait", ",", " no"),
    ],
)
def test_a_choice_that_is_taken_back_is_unlisted(after: list[tuple[str, dict[str, float]]]) -> None:
    ((answer, _),) = ask(lambda _: listed([PASSAGE, A, *after]), CHOOSE)  # type: ignore[list-item]
    assert answer.problem == "unlisted"
    assert all(map(math.isnan, answer.loglikelihoods))
