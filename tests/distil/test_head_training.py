import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankprompt.distil.head_training import IndexedPairs, fit_head, share_right
from rankprompt.errors import InputError, ModelError

WIDTH = 12


def pairs_by(scores: np.ndarray, pairs: np.ndarray) -> IndexedPairs:
    """Pairs with the preferences that Bradley and Terry's model gives to scores."""
    first, second = pairs.T
    return IndexedPairs(first, second, 1 / (1 + np.exp(scores[second] - scores[first])))


def lesson(seed: int, noise: float = 0.0) -> tuple[np.ndarray, IndexedPairs, np.ndarray]:
    """States whose first number is the strength of a passage, pairs, and the passages' queries."""
    random = np.random.default_rng(seed)
    states = random.normal(size=(80, WIDTH)).astype(np.float32)
    queries = np.repeat(np.arange(8), 10)
    strengths = 3 * states[:, 0] + noise * random.normal(size=80)
    pairs = [
        10 * query + random.choice(10, 2, replace=False) for query in range(8) for _ in range(40)
    ]
    return states, pairs_by(strengths, np.array(pairs)), queries


@settings(max_examples=5)
@given(st.integers(0, 10_000))
def test_what_a_state_tells_is_found_and_told_of_other_queries(seed: int) -> None:
    states, pairs, queries = lesson(seed)
    # The numbers of a state may be of any size.
    states = states * np.float32(50) + np.float32(7)
    head = fit_head(states, pairs, queries, seed)
    assert head.right > 0.95
    assert head.ndcg > 0.98
    assert abs(head.weight[0]) == np.abs(head.weight).max()
    # The scores are for states as they are, and their mean is 0.
    scores = states @ head.weight + head.bias
    assert share_right(scores, pairs) == pytest.approx(head.learned, abs=0.01)
    assert scores.mean() == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("seed", [1, 2])
def test_what_holds_for_one_query_alone_is_not_taken_for_knowledge(seed: int) -> None:
    """Strengths by chance can be learnt by heart, and cross-validation must not fall for it."""
    random = np.random.default_rng(seed)
    states = random.normal(size=(80, 60)).astype(np.float32)
    queries = np.repeat(np.arange(8), 10)
    pairs = np.array(
        [10 * query + random.choice(10, 2, replace=False) for query in range(8) for _ in range(40)]
    )
    head = fit_head(states, pairs_by(5 * random.normal(size=80), pairs), queries, seed)
    assert head.right < 0.75
    assert head.curve[-1]["learned"] > head.right + 0.1


def test_the_same_pairs_give_the_same_weights() -> None:
    heads = [fit_head(*lesson(1, noise=1.0)) for _ in range(2)]
    np.testing.assert_array_equal(heads[0].weight, heads[1].weight)
    assert heads[0].curve == heads[1].curve


def test_the_curve_has_the_penalty_that_was_chosen() -> None:
    head = fit_head(*lesson(2, noise=2.0))
    (own,) = [row for row in head.curve if row["penalty"] == head.penalty]
    assert (own["learned"], own["held_out"], own["ndcg"]) == (head.learned, head.right, head.ndcg)
    assert max(row["held_out"] for row in head.curve) == head.right
    penalties = [row["penalty"] for row in head.curve]
    assert penalties == sorted(penalties, reverse=True)
    # What was learnt from is ordered better the less weights cost.
    assert head.curve[-1]["learned"] >= head.curve[0]["learned"]


def test_two_queries_are_enough() -> None:
    states, pairs, queries = lesson(5)
    few = pairs.where(pairs.first < 20)
    head = fit_head(states[:20], few, queries[:20])
    assert head.right > 0.8


@given(st.lists(st.floats(-5, 5), min_size=4, max_size=4), st.permutations(range(4)))
def test_the_share_right_does_not_depend_on_the_direction(
    scores: list[float], order: list[int]
) -> None:
    values = np.array(scores)
    given_pairs = IndexedPairs(np.array(order[:2]), np.array(order[2:]), np.array([0.9, 0.2]))
    turned = IndexedPairs(given_pairs.second, given_pairs.first, 1 - given_pairs.preference)
    assert share_right(values, given_pairs) == share_right(values, turned)
    assert share_right(-values, given_pairs) == pytest.approx(1 - share_right(values, given_pairs))


@pytest.mark.parametrize("wrong", [float("nan"), 1.5, -0.1])
def test_a_preference_that_is_no_probability_is_refused(wrong: float) -> None:
    states, pairs, queries = lesson(3)
    pairs.preference[5] = wrong
    with pytest.raises(InputError, match="1 of 320 preferences of the teacher are no prob"):
        fit_head(states, pairs, queries)


def test_states_that_are_not_finite_are_refused() -> None:
    states, pairs, queries = lesson(4)
    states[0, 0] = np.inf
    with pytest.raises(ModelError, match="are not finite"):
        fit_head(states, pairs, queries)
