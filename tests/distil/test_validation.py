import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.distil.validation import mean_ndcg, teacher_gains
from rankprompt.eval import ndcg_at_10


def gains_of(strengths: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    first, second = pairs.T
    wins = 1 / (1 + np.exp(strengths[second] - strengths[first]))
    return teacher_gains(first, second, wins, len(strengths))


def test_gains_do_not_depend_on_whom_a_passage_was_compared_with() -> None:
    """The best passage that met only good ones gains more than a fair one that met bad ones."""
    strengths = np.array([4.0, 3.5, 1.0, 0.0, -3.0])
    pairs = np.array([(0, 1)] * 9 + [(1, 2)] * 9 + [(2, 3)] * 3 + [(2, 4)] * 9 + [(3, 4)] * 3)
    gains = gains_of(strengths, pairs)
    assert (np.diff(gains) < 0).all()
    assert ((gains > 0) & (gains < 1)).all()


@given(st.lists(st.floats(-4, 4), min_size=3, max_size=12))
def test_the_teacher_s_own_order_has_an_ndcg_of_one(strengths: list[float]) -> None:
    values = np.array(strengths)
    pairs = np.array([(i, j) for i in range(len(values)) for j in range(i)])
    gains, queries = gains_of(values, pairs), np.zeros(len(values), dtype=int)
    assert mean_ndcg(gains, gains, queries) == pytest.approx(1)
    assert mean_ndcg(-gains, gains, queries) <= 1


@given(st.lists(st.integers(0, 3), min_size=1, max_size=25))
def test_with_grades_as_gains_it_is_the_measure(grades: list[int]) -> None:
    if not any(grades):
        grades = [*grades, 1]
    scores = np.random.default_rng(len(grades)).permutation(len(grades)).astype(float)
    run = {"q": {f"d{place}": score for place, score in enumerate(scores)}}
    qrels = {"q": {f"d{place}": grade for place, grade in enumerate(grades)}}
    found = mean_ndcg(scores, np.array(grades, dtype=float), np.zeros(len(grades), dtype=int))
    assert found == pytest.approx(ndcg_at_10(qrels)(run))
