import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.errors import InputError
from rankprompt.judges.first_stage_prior import FirstStagePrior
from rankprompt.types import Candidates, Document, PairwiseQuestion, Preference, Query

QUERY = Query("q", "why")
SCORES = st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=6)
WEIGHTS = st.floats(0.01, 5)
PREFERENCES = st.floats(0.001, 0.999)


def candidates(*scores: float, query: Query = QUERY) -> Candidates:
    documents = tuple(Document(f"d{rank}", "text") for rank in range(len(scores)))
    return Candidates(query, documents, scores)


def compare(query: Candidates, first: int, second: int) -> PairwiseQuestion:
    return PairwiseQuestion(query.query, query.documents[first], query.documents[second])


def adjusted(
    preference: Preference,
    candidates: Sequence[Candidates],
    weight: float,
    questions: Sequence[PairwiseQuestion],
) -> list[Preference]:
    """Adjusts a preference for pairs in order, and its opposite for reversed pairs."""
    answers = [
        preference if question.first.id < question.second.id else 1 - preference
        for question in questions
    ]
    return FirstStagePrior(candidates, weight).adjust(questions, answers)


@given(SCORES, WEIGHTS, PREFERENCES)
def test_the_two_directions_of_a_pair_add_up_to_one(
    scores: list[float], weight: float, preference: float
) -> None:
    query = candidates(*scores)
    forward, reverse = adjusted(
        preference, [query], weight, [compare(query, 0, 1), compare(query, 1, 0)]
    )
    assert forward + reverse == pytest.approx(1, abs=1e-12)
    assert 0 <= forward <= 1


@given(SCORES, WEIGHTS)
def test_a_tie_goes_to_the_document_that_the_first_stage_has_higher(
    scores: list[float], weight: float
) -> None:
    query = candidates(*sorted(scores, reverse=True))
    [result] = adjusted(0.5, [query], weight, [compare(query, 0, 1)])
    gap = query.scores[0] - query.scores[1]
    assert result >= 0.5
    if gap == 0:
        assert result == 0.5
    elif gap > 1e-9 * max(map(abs, scores)):
        assert result > 0.5


@given(SCORES, PREFERENCES)
def test_the_first_stage_pulls_every_preference_its_way(
    scores: list[float], preference: float
) -> None:
    query = candidates(*sorted(scores, reverse=True))
    [result] = adjusted(preference, [query], 0.5, [compare(query, 0, 1)])
    assert result >= preference - 1e-12


def test_the_gain_is_the_weight_times_the_difference_in_deviations() -> None:
    query = candidates(3.0, 1.0)  # mean 2, deviation 1: two deviations apart
    [result] = adjusted(0.2, [query], 0.7, [compare(query, 0, 1)])
    assert math.log(result / (1 - result)) == pytest.approx(math.log(0.2 / 0.8) + 2 * 0.7)


def test_the_scale_of_the_first_stage_does_not_matter() -> None:
    small, large = candidates(3.0, 2.0, 0.5), candidates(300.0, 200.0, 50.0)
    answers = [
        adjusted(0.4, [query], 0.3, [compare(query, 0, 2), compare(query, 1, 2)])
        for query in (small, large)
    ]
    assert answers[0] == pytest.approx(answers[1])


def test_each_query_is_standardised_by_itself() -> None:
    q, p = candidates(2.0, 1.0), candidates(200.0, 100.0, query=Query("p", "how"))
    first, second = adjusted(0.5, [q, p], 1, [compare(q, 0, 1), compare(p, 0, 1)])
    assert first == pytest.approx(second)


@pytest.mark.parametrize("preference", [0.0, 0.25, 0.5, 1.0])
def test_weight_0_leaves_every_preference_as_it_is(preference: float) -> None:
    query = candidates(9.0, 1.0)
    assert adjusted(preference, [query], 0, [compare(query, 0, 1)]) == [preference]


@pytest.mark.parametrize("preference", [0.0, 1.0])
def test_a_judge_that_is_certain_is_believed(preference: float) -> None:
    query = candidates(9.0, 1.0)
    assert adjusted(preference, [query], 100, [compare(query, 0, 1), compare(query, 1, 0)]) == [
        preference,
        1 - preference,
    ]


@pytest.mark.parametrize("preference", [0.2, 0.5, 0.9])
def test_equal_scores_have_no_say(preference: float) -> None:
    query = candidates(7.1, 7.1, 7.1)
    [result] = adjusted(preference, [query], 3, [compare(query, 0, 2)])
    assert result == pytest.approx(preference, abs=1e-12)


def test_a_query_with_one_candidate_or_none_does_no_harm() -> None:
    assert adjusted(0.5, [candidates(1.0), candidates(query=Query("p", "how"))], 1, []) == []


def test_an_extreme_weight_stays_a_probability() -> None:
    query = candidates(2.0, 1.0)
    [forward, reverse] = adjusted(0.5, [query], 1e300, [compare(query, 0, 1), compare(query, 1, 0)])
    assert (forward, reverse) == (1, 0)


@pytest.mark.parametrize("weight", [-0.1, math.nan, math.inf])
def test_a_weight_that_is_none_is_refused(weight: float) -> None:
    with pytest.raises(InputError, match="`prior` must be 0 or more"):
        FirstStagePrior([], weight)
