"""Isotonic regression: the non-decreasing step function of least squared error.

Zadrozny and Elkan, "Transforming Classifier Scores into Accurate Multiclass Probability Estimates"
(KDD 2002), section 3.2.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["LARGEST_VALUE", "IsotonicMap", "fit_isotonic"]

LARGEST_VALUE = 1e100
"""The largest absolute value that a calibration takes: differences of two stay finite. Tables of
scores write it for infinite values, such as the logarithm of a probability of 0."""

_MOST_KNOTS = 1_000_000


@dataclass(frozen=True)
class IsotonicMap:
    """A non-decreasing, piecewise linear function, constant outside its knots.

    Attributes:
        method: its name in the file.
        values: of the knots, strictly increasing.
        probabilities: at the knots, non-decreasing, from 0 to 1.
    """

    method: Literal["isotonic"]
    values: tuple[float, ...]
    probabilities: tuple[float, ...]

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 - pydantic reads it from the class

    def __post_init__(self) -> None:
        """Checks the knots, which may come from a file."""
        if not 1 <= len(self.values) <= _MOST_KNOTS:
            raise ValueError(f"expected from 1 to {_MOST_KNOTS:,} knots, not {len(self.values):,}")
        if len(self.values) != len(self.probabilities):
            raise ValueError("`values` and `probabilities` must be of one length")
        if not all(abs(value) <= LARGEST_VALUE for value in self.values):
            raise ValueError(f"a value is not a number, or beyond {LARGEST_VALUE:g}")
        if not all(low < high for low, high in zip(self.values, self.values[1:], strict=False)):
            raise ValueError("the values of the knots are not strictly increasing")
        pairs = zip((0.0, *self.probabilities), (*self.probabilities, 1.0), strict=True)
        if not all(low <= high for low, high in pairs):
            raise ValueError("the probabilities do not rise, or are not from 0 to 1")

    def __call__(self, value: float) -> float:
        """The probability at a value."""
        right = bisect_right(self.values, value)
        if right == 0:
            return self.probabilities[0]
        if right == len(self.values):
            return self.probabilities[-1]
        low, high = self.probabilities[right - 1 : right + 1]
        start, end = self.values[right - 1 : right + 1]
        # Rounding could pass the next knot's probability by its last bit.
        return min(high, low + (high - low) * ((value - start) / (end - start)))


def fit_isotonic(values: Sequence[float], labels: Sequence[float]) -> IsotonicMap:
    """Fits the map, whose value at each training value is the share of its block.

    Args:
        values: of the documents.
        labels: of the documents, 1 for relevant and 0 for not.
    """
    import numpy as np
    from scipy.optimize import isotonic_regression

    distinct, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    shares = np.bincount(places, weights=labels) / counts
    fitted = isotonic_regression(shares, weights=counts)
    # The first and the last value of each block are knots, so that between them it is level.
    ends = sorted({*fitted.blocks[:-1].tolist(), *(fitted.blocks[1:] - 1).tolist()})
    probabilities = np.clip(np.maximum.accumulate(fitted.x), 0, 1)
    return IsotonicMap(
        "isotonic", tuple(distinct[ends].tolist()), tuple(probabilities[ends].tolist())
    )
