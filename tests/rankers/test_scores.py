from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.rankers.scores import (
    DocumentScore,
    Meaning,
    follow_ranking,
    join_scores,
    strictly_decreasing,
)

UNIT = st.floats(0, 1)
SCORES = st.lists(st.one_of(st.none(), UNIT), max_size=40)


def named(scores: Sequence[float | None]) -> dict[str, DocumentScore]:
    """Documents in the order of their ranking, each with its score; None was not judged."""
    return {
        f"d{index}": DocumentScore(0.7 if score is None else score, score)
        for index, score in enumerate(scores)
    }


@given(SCORES)
def test_scores_follow_the_ranking_and_stay_between_0_and_1(scores: list[float | None]) -> None:
    given_scores = named(scores)
    followed = follow_ranking(list(given_scores), given_scores)
    assert list(followed) == list(given_scores)
    values = [one.score for one in followed.values()]
    assert all(0 <= value <= 1 for value in values)
    assert values == sorted(values, reverse=True)
    assert [one.value for one in followed.values()] == scores
    assert follow_ranking(list(followed), followed) == followed


@given(st.lists(UNIT, min_size=1, max_size=40))
def test_pooling_keeps_the_mean_and_what_follows_already(scores: list[float]) -> None:
    ranking = list(named(scores))
    followed = follow_ranking(ranking, named(scores))
    assert np.mean([one.score for one in followed.values()]) == pytest.approx(np.mean(scores))
    ordered = named(sorted(scores, reverse=True))
    assert follow_ranking(ranking, ordered) == ordered


@given(st.lists(UNIT, min_size=1, max_size=30))
def test_pooling_is_isotonic_regression(scores: list[float]) -> None:
    # The library's name for it; the core does without scipy.
    isotonic = pytest.importorskip("scipy.optimize").isotonic_regression
    followed = follow_ranking(list(named(scores)), named(scores))
    expected = isotonic(scores, increasing=False).x
    assert [one.score for one in followed.values()] == pytest.approx(list(expected), abs=1e-12)


def test_a_document_that_was_not_judged_scores_as_the_judged_one_below() -> None:
    followed = follow_ranking(
        list("abcde"), {"b": DocumentScore(0.9, 4.0), "d": DocumentScore(0.3, 1.0)}
    )
    assert [one.score for one in followed.values()] == [0.9, 0.9, 0.3, 0.3, 0.0]
    assert [one.value for one in followed.values()] == [None, 4.0, None, 1.0, None]


@given(
    st.lists(UNIT, min_size=1, max_size=200),
    st.integers(0, 9_800),
    st.sampled_from([0.0, 0.5, 1.0]),
)
def test_written_scores_decrease_strictly_in_single_precision(
    scores: list[float], more: int, level: float
) -> None:
    ordered = sorted([*scores, *[level] * more], reverse=True)
    strict = strictly_decreasing(ordered)
    read = np.array([float(str(score)) for score in strict], dtype=np.float32)
    assert (np.diff(read) < 0).all()
    assert read[-1] > 0
    assert read[0] <= 1
    assert np.abs(np.array(strict) - ordered).max() <= min(0.01, 1e-6 * len(ordered)) + 1e-7


def test_even_a_million_equal_scores_are_separated() -> None:
    for level in (0.0, 1.0):
        read = np.array(strictly_decreasing([level] * 1_000_000), dtype=np.float32)
        assert (np.diff(read) < 0).all()
        assert 0 < read[-1] < read[0] <= 1
    assert strictly_decreasing([]) == []


BEFORE = {
    "a": DocumentScore(0.9, 2.2),
    "b": DocumentScore(0.6, 0.4),
    "c": DocumentScore(0.5, 0.0),
    "d": DocumentScore(0.1, -2.2),
}


def test_a_stage_that_orders_hands_out_the_scores_of_the_stage_before() -> None:
    after = {"c": DocumentScore(0.8, 1.0), "a": DocumentScore(0.2, -1.0)}
    joined = join_scores(BEFORE, after, ["c", "b", "a", "d"], meaning=Meaning.WINS)
    # c and a have changed places: c gets the .9 of a, and each keeps its own value.
    assert [(name, *one) for name, one in joined.items()] == [
        ("c", 0.9, 0.0), ("b", 0.6, 0.4), ("a", 0.5, 2.2), ("d", 0.1, -2.2),
    ]  # fmt: skip


def test_a_stage_that_gives_probabilities_replaces_the_scores_of_its_documents() -> None:
    after = {"b": DocumentScore(0.95, 3.0), "a": DocumentScore(0.3, -1.0)}
    joined = join_scores(BEFORE, after, list("bacd"), meaning=Meaning.RELEVANCE)
    # a falls below c, which no later stage has seen: c is lowered, for a keeps its probability.
    assert [(name, *one) for name, one in joined.items()] == [
        ("b", 0.95, 3.0), ("a", 0.3, -1.0), ("c", 0.3, 0.0), ("d", 0.1, -2.2),
    ]  # fmt: skip


@given(
    st.lists(st.tuples(st.one_of(st.none(), UNIT), UNIT), min_size=1, max_size=15),
    st.lists(st.one_of(st.none(), UNIT), max_size=15),
)
def test_scores_of_another_model_never_change_a_later_stages_probabilities(
    first: list[tuple[float | None, float]], rest: list[float | None]
) -> None:
    judged = [before for _, before in first]
    names = [f"d{index}" for index in range(len(first) + len(rest))]
    before = follow_ranking(names, named([*judged, *rest]))
    after = named([score for score, _ in first])
    joined = join_scores(before, after, names, meaning=Meaning.RELEVANCE)
    own = follow_ranking(list(after), after)
    for name, one in own.items():
        if one.value is not None:
            assert joined[name] == one
    scores = [one.score for one in joined.values()]
    assert scores == sorted(scores, reverse=True)
    assert follow_ranking(names, joined) == joined
    # Below, scores are lowered at most.
    for name in names[len(first) :]:
        assert joined[name].score <= before[name].score
        assert joined[name].value == before[name].value


def test_a_document_that_only_the_later_stage_judged_scores_as_the_one_below() -> None:
    before = {**BEFORE, "a": DocumentScore(0.6, None)}
    after = {"a": DocumentScore(0.8, 1.0), "b": DocumentScore(0.2, -1.0)}
    joined = join_scores(before, after, list("abcd"), meaning=Meaning.SELECTIONS)
    assert joined["a"] == DocumentScore(0.6, None)
    assert joined["b"] == BEFORE["b"]
