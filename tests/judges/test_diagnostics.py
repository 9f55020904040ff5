from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.judges.diagnostics import PairwiseDiagnostics
from rankprompt.types import Document, PairwiseQuestion, Query


def pair(first: str, second: str, query: str = "q") -> PairwiseQuestion:
    return PairwiseQuestion(Query(query, ""), Document(first, ""), Document(second, ""))


def summary(*answers: tuple[float | None, float | None]) -> dict[str, float | int | None]:
    """Of one pair for each two answers: as given, and with the passages swapped."""
    diagnostics = PairwiseDiagnostics()
    for number, (plain, swapped) in enumerate(answers):
        diagnostics.add(pair(f"a{number}", f"b{number}"), {False: plain, True: swapped}, 0.5)
    return diagnostics.summary()


def test_of_nothing_nothing_is_said() -> None:
    assert PairwiseDiagnostics().summary() == {
        "pairs": 0,
        "unreadable": 0,
        "position_bias": None,
        "inconsistent": None,
        "intransitive_triples": 0,
        "triples": 0,
    }


@pytest.mark.parametrize(
    ("answers", "bias", "inconsistent"),
    [
        ([(0.9, 0.2)], 0.0, 0.0),
        ([(0.1, 0.8)], 0.0, 0.0),
        ([(0.9, 0.8)], 0.5, 1.0),
        ([(0.1, 0.2)], -0.5, 1.0),
        ([(0.5, 0.2)], -0.5, 1.0),
        ([(0.9, 0.5)], 0.5, 1.0),
        ([(0.5, 0.5)], None, 1.0),
        ([(0.9, 0.2), (0.9, 0.8)], 0.25, 0.5),
        ([(0.9, 0.2), (0.2, 0.9), (0.7, 0.6), (0.5, 0.5)], 4 / 6 - 0.5, 0.5),
    ],
)
def test_position_bias_and_contradictions_are_shares(
    answers: list[tuple[float, float]], bias: float | None, inconsistent: float
) -> None:
    found = summary(*answers)
    assert found["pairs"] == len(answers)
    assert found["position_bias"] == (None if bias is None else pytest.approx(bias))
    assert found["inconsistent"] == inconsistent


def test_an_unreadable_answer_is_counted_and_taken_for_no_preference() -> None:
    found = summary((None, 0.9), (None, None), (0.2, 0.9))
    assert found["unreadable"] == 3
    assert found["position_bias"] == pytest.approx(2 / 3 - 0.5)
    assert found["inconsistent"] == 0
    assert summary((None, 0.9))["inconsistent"] is None


def test_a_pair_shown_in_one_order_says_nothing_of_contradictions() -> None:
    diagnostics = PairwiseDiagnostics()
    diagnostics.add(pair("a", "b"), {True: 0.9}, 0.1)
    diagnostics.add(pair("a", "c"), {}, 1.0)
    found = diagnostics.summary()
    assert found["pairs"] == 2
    assert found["position_bias"] == 0.5
    assert found["inconsistent"] is None


def test_a_pair_asked_again_in_whichever_order_counts_once() -> None:
    diagnostics = PairwiseDiagnostics()
    for _ in range(2):
        diagnostics.add(pair("a", "b"), {False: 0.9, True: None}, 1.0)
        diagnostics.add(pair("b", "a"), {False: 0.2, True: 0.7}, 0.0)
    found = diagnostics.summary()
    assert (found["pairs"], found["unreadable"], found["position_bias"]) == (1, 1, 0.5)
    diagnostics.add(pair("a", "b", query="other"), {False: 0.2, True: None}, 0.5)
    assert diagnostics.summary()["pairs"] == 2


@pytest.mark.parametrize(("last", "circles"), [(1.0, 1), (0.0, 0)])
def test_three_that_beat_each_other_in_turn_are_a_circle(last: float, circles: int) -> None:
    diagnostics = PairwiseDiagnostics()
    diagnostics.add(pair("a", "b"), {}, 1.0)
    diagnostics.add(pair("c", "b"), {}, 0.2)
    diagnostics.add(pair("c", "a"), {}, last)
    found = diagnostics.summary()
    assert (found["intransitive_triples"], found["triples"]) == (circles, 1)


def test_a_tie_or_a_pair_never_asked_makes_no_triple() -> None:
    diagnostics = PairwiseDiagnostics()
    diagnostics.add(pair("a", "b"), {}, 1.0)
    diagnostics.add(pair("b", "c"), {}, 1.0)
    assert diagnostics.summary()["triples"] == 0
    diagnostics.add(pair("c", "a"), {}, 0.5)
    assert diagnostics.summary()["triples"] == 0


def test_documents_of_different_queries_make_no_triple() -> None:
    diagnostics = PairwiseDiagnostics()
    for query, winner, loser in [("x", "a", "b"), ("y", "b", "c"), ("z", "c", "a")]:
        diagnostics.add(pair(winner, loser, query), {}, 1.0)
    assert diagnostics.summary()["triples"] == 0


PAIRS = st.dictionaries(
    st.tuples(st.sampled_from("pq"), st.sampled_from("abcdef"), st.sampled_from("abcdef")).filter(
        lambda one: one[1] < one[2]
    ),
    st.tuples(st.sampled_from([0.0, 0.3, 0.5, 0.8, 1.0]), st.booleans()),
)


@given(PAIRS)
def test_triples_and_circles_are_those_that_counting_finds(
    judged: dict[tuple[str, str, str], tuple[float, bool]],
) -> None:
    diagnostics = PairwiseDiagnostics()
    beats = set()
    for (query, one, other), (preference, turned) in judged.items():
        if preference != 0.5:
            beats.add((query, one, other) if preference > 0.5 else (query, other, one))
        if turned:
            diagnostics.add(pair(other, one, query), {}, 1 - preference)
        else:
            diagnostics.add(pair(one, other, query), {}, preference)
    triples = circles = 0
    for query in "pq":
        for a, b, c in combinations("abcdef", 3):
            wins = [sum((query, one, other) in beats for other in (a, b, c)) for one in (a, b, c)]
            # Three strict preferences; in a circle each wins once.
            triples += sum(wins) == 3
            circles += wins == [1, 1, 1]
    found = diagnostics.summary()
    assert (found["triples"], found["intransitive_triples"]) == (triples, circles)
