"""Platt scaling: held against statsmodels, and against a logistic function that is known."""

import math
import random
from collections.abc import Sequence

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.eval.isotonic import LARGEST_VALUE
from rankprompt.eval.platt import PlattMap, fit_platt


def drawn(
    number: int, slope: float, intercept: float, seed: int = 0, *, centre: float = 0.0
) -> tuple[list[float], list[float]]:
    """Values around a centre, with labels drawn by a logistic function."""
    source = random.Random(seed)
    values = [source.gauss(centre, 2) for _ in range(number)]
    chances = [1 / (1 + math.exp(-slope * value - intercept)) for value in values]
    return values, [float(source.random() < chance) for chance in chances]


@pytest.mark.parametrize("centre", [0.0, 20.0])
def test_it_is_the_logistic_regression_of_statsmodels(centre: float) -> None:
    values, labels = drawn(500, 0.8, -1 - 0.8 * centre, centre=centre)
    positives = sum(labels)
    negatives = len(labels) - positives
    targets = [(positives + 1) / (positives + 2) if y else 1 / (negatives + 2) for y in labels]
    model = sm.GLM(targets, sm.add_constant(np.array(values)), family=sm.families.Binomial())
    intercept, slope = model.fit(tol=1e-14).params
    fitted = fit_platt(values, labels)
    assert (fitted.slope, fitted.intercept) == pytest.approx((slope, intercept), rel=1e-6)


def test_it_recovers_the_logistic_function_that_drew_the_labels() -> None:
    fitted = fit_platt(*drawn(40_000, 1.5, -1))
    assert fitted.slope == pytest.approx(1.5, abs=0.05)
    assert fitted.intercept == pytest.approx(-1, abs=0.05)


def test_documents_that_a_threshold_separates_have_finite_parameters() -> None:
    fitted = fit_platt([1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 1.0, 1.0])
    assert 0 < fitted.slope < 10
    assert fitted(2.5) == pytest.approx(0.5, abs=1e-6)
    assert fitted(4.0) < 0.9


@pytest.mark.parametrize("values", [[1.0, 2.0, 3.0, 4.0], [7.0] * 4, [1e-320, 0, 0, 0]])
def test_values_that_do_not_rise_with_relevance_have_one_probability(
    values: Sequence[float],
) -> None:
    fitted = fit_platt(values, [1.0, 1.0, 0.0, 0.0])
    assert fitted.slope == 0
    assert fitted(-math.inf) == fitted(math.inf) == pytest.approx(0.5, abs=1e-6)


def test_infinite_values_do_not_flatten_the_others() -> None:
    values, labels = drawn(500, 0.8, -1)
    fitted = fit_platt(values, labels)
    least = min(range(500), key=lambda place: values[place])
    again = fit_platt([v if n != least else -LARGEST_VALUE for n, v in enumerate(values)], labels)
    assert again.slope == pytest.approx(fitted.slope, rel=0.02)
    assert again(-LARGEST_VALUE) < 1e-12


SIZES = st.floats(-LARGEST_VALUE, LARGEST_VALUE)


@given(
    st.lists(st.tuples(SIZES, st.booleans()), min_size=2, max_size=30),
    st.lists(st.floats(allow_nan=False)),
)
def test_it_rises_from_0_to_1(documents: list[tuple[float, bool]], others: list[float]) -> None:
    values = [value for value, _ in documents]
    fitted = fit_platt(values, [float(label) for _, label in documents])
    found = [fitted(value) for value in sorted([*others, *values])]
    assert found == sorted(found)
    assert 0 <= found[0] <= found[-1] <= 1


@pytest.mark.parametrize(
    ("slope", "intercept"), [(-1.0, 0.0), (math.inf, 0.0), (math.nan, 0.0), (1.0, math.nan)]
)
def test_parameters_that_are_none_are_refused(slope: float, intercept: float) -> None:
    with pytest.raises(ValueError, match="must be finite"):
        PlattMap("platt", slope, intercept)
