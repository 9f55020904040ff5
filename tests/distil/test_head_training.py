import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankprompt.distil.head_training import FittedHead, IndexedPairs, fit_head, share_right
from rankprompt.errors import InputError, ModelError

WIDTH = 12


def pairs_by(scores: np.ndarray, pairs: np.ndarray) -> IndexedPairs:
    """Pairs with the preferences that Bradley and Terry's model gives to scores."""
    first, second = pairs.T
    return IndexedPairs(first, second, 1 / (1 + np.exp(scores[second] - scores[first])))


def lesson(seed: int, noise: float = 0.0) -> tuple[np.ndarray, IndexedPairs, IndexedPairs]:
    """States whose first number is the strength of a passage, and pairs of two groups."""
    random = np.random.default_rng(seed)
    states = random.normal(size=(80, WIDTH)).astype(np.float32)
    strengths = 3 * states[:, 0] + noise * random.normal(size=80)
    learned = np.array([random.choice(60, 2, replace=False) for _ in range(300)])
    held_out = 60 + np.array([random.choice(20, 2, replace=False) for _ in range(80)])
    return states, pairs_by(strengths, learned), pairs_by(strengths, held_out)


@settings(max_examples=5)
@given(st.integers(0, 10_000))
def test_what_a_state_tells_is_found_at_the_layer_that_tells_it(seed: int) -> None:
    states, learned, held_out = lesson(seed)
    blind = np.random.default_rng(seed + 1).normal(size=states.shape).astype(np.float32)
    head = fit_head({3: blind, 7: states}, learned, held_out)
    assert head.layer == 7
    assert head.right > 0.95
    assert abs(head.weight[0]) == np.abs(head.weight).max()
    # The scores are for states as they are, and their mean is 0.
    scores = states @ head.weight + head.bias
    assert share_right(scores, held_out) == head.right
    assert scores[np.unique([learned.first, learned.second])].mean() == pytest.approx(0, abs=1e-4)


def test_the_same_pairs_give_the_same_weights() -> None:
    states, learned, held_out = lesson(1, noise=1.0)
    heads: list[FittedHead] = [fit_head({1: states}, learned, held_out) for _ in range(2)]
    np.testing.assert_array_equal(heads[0].weight, heads[1].weight)
    assert heads[0].curve == heads[1].curve


def test_the_curve_has_the_fit_that_was_chosen() -> None:
    states, learned, held_out = lesson(2, noise=2.0)
    head = fit_head({1: states, 2: states[:, ::-1].copy()}, learned, held_out)
    own = [
        row for row in head.curve if (row["layer"], row["penalty"]) == (head.layer, head.penalty)
    ]
    assert max(row["held_out"] for row in own) == head.right
    assert max(row["held_out"] for row in head.curve) == head.right
    assert {row["layer"] for row in head.curve} == {1, 2}
    # A fit ends five steps after the last gain.
    first = next(row["step"] for row in own if row["held_out"] == head.right)
    assert max(row["step"] for row in own) in (first + 5, 30)


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
    states, learned, held_out = lesson(3)
    learned.preference[5] = wrong
    with pytest.raises(InputError, match="1 of 300 preferences of the teacher are no prob"):
        fit_head({1: states}, learned, held_out)
    with pytest.raises(InputError, match="1 of 300"):
        fit_head({1: states}, held_out, learned)


def test_states_that_are_not_finite_are_refused() -> None:
    states, learned, held_out = lesson(4)
    states[0, 0] = np.inf
    with pytest.raises(ModelError, match="layer 5 are not finite"):
        fit_head({5: states}, learned, held_out)
