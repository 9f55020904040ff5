from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.judges.diagnostics import PairwiseDiagnostics
from rankprompt.types import Document, PairwiseQuestion, Query


def pair(first: str, second: str, query: str = "q") -> PairwiseQuestion:
    return PairwiseQuestion(Query(query, ""), Document(first, ""), Document(second, ""))


def summary(*answers: tuple[float | None, float | None]) -> dict[str, float | int | None]:
    """The summary of a pair for each two answers: in the pair's order, and in reverse order."""
    diagnostics = PairwiseDiagnostics()
    for number, (forward, reverse) in enumerate(answers):
        diagnostics.add(pair(f"a{number}", f"b{number}"), {False: forward, True: reverse}, 0.5)
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
    rates = summary(*answers)
    assert rates["pairs"] == len(answers)
    assert rates["position_bias"] == (None if bias is None else pytest.approx(bias))
    assert rates["inconsistent"] == inconsistent


def test_an_unreadable_answer_is_counted_and_taken_for_no_preference() -> None:
    rates = summary((None, 0.9), (None, None), (0.2, 0.9))
    assert rates["unreadable"] == 3
    assert rates["position_bias"] == pytest.approx(2 / 3 - 0.5)
    assert rates["inconsistent"] == 0
    assert summary((None, 0.9))["inconsistent"] is None


def test_a_pair_shown_in_one_order_says_nothing_of_contradictions() -> None:
    diagnostics = PairwiseDiagnostics()
    diagnostics.add(pair("a", "b"), {True: 0.9}, 0.1)
    diagnostics.add(pair("a", "c"), {}, 1.0)
    rates = diagnostics.summary()
    assert rates["pairs"] == 2
    assert rates["position_bias"] == 0.5
    assert rates["inconsistent"] is None


def test_a_pair_asked_again_in_whichever_order_counts_once() -> None:
    diagnostics = PairwiseDiagnostics()
    for _ in range(2):
        diagnostics.add(pair("a", "b"), {False: 0.9, True: None}, 1.0)
        diagnostics.add(pair("b", "a"), {False: 0.2, True: 0.7}, 0.0)
    rates = diagnostics.summary()
    assert (rates["pairs"], rates["unreadable"], rates["position_bias"]) == (1, 1, 0.5)
    diagnostics.add(pair("a", "b", query="other"), {False: 0.2, True: None}, 0.5)
    assert diagnostics.summary()["pairs"] == 2


@pytest.mark.parametrize(("last", "cycles"), [(1.0, 1), (0.0, 0)])
def test_three_that_beat_each_other_in_turn_are_a_circle(last: float, cycles: int) -> None:
    diagnostics = PairwiseDiagnostics()
    diagnostics.add(pair("a", "b"), {}, 1.0)
    diagnostics.add(pair("c", "b"), {}, 0.2)
    diagnostics.add(pair("c", "a"), {}, last)
    rates = diagnostics.summary()
    assert (rates["intransitive_triples"], rates["triples"]) == (cycles, 1)


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
        lambda pair: pair[1] < pair[2]
    ),
    st.tuples(st.sampled_from([0.0, 0.3, 0.5, 0.8, 1.0]), st.booleans()),
)


@given(PAIRS)
def test_triples_and_cycles_are_those_that_counting_finds(
    judged: dict[tuple[str, str, str], tuple[float, bool]],
) -> None:
    diagnostics = PairwiseDiagnostics()
    beats = set()
    for (query, first, second), (preference, reverse) in judged.items():
        if preference != 0.5:
            beats.add((query, first, second) if preference > 0.5 else (query, second, first))
        if reverse:
            diagnostics.add(pair(second, first, query), {}, 1 - preference)
        else:
            diagnostics.add(pair(first, second, query), {}, preference)
    triples = cycles = 0
    for query in "pq":
        for a, b, c in combinations("abcdef", 3):
            wins = [
                sum((query, winner, loser) in beats for loser in (a, b, c)) for winner in (a, b, c)
            ]
            # Three strict preferences; in a cycle each document wins once.
            triples += sum(wins) == 3
            cycles += wins == [1, 1, 1]
    rates = diagnostics.summary()
    assert (rates["triples"], rates["intransitive_triples"]) == (triples, cycles)
