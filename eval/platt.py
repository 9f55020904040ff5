"""Platt scaling: a logistic function of two parameters.

Platt, "Probabilistic Outputs for Support Vector Machines and Comparisons to Regularized Likelihood
Methods" (1999), section 2.2.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rankprompt.eval.isotonic import LARGEST_VALUE

if TYPE_CHECKING:
    import numpy as np

__all__ = ["PlattMap", "fit_platt"]


@dataclass(frozen=True)
class PlattMap:
    """The logistic function of ``slope * value + intercept``.

    Attributes:
        method: its name in the file.
        slope: 0 or more, per unit of the value.
        intercept: the log-odds at the value 0.
    """

    method: Literal["platt"]
    slope: float
    intercept: float

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 - pydantic reads it from the class

    def __post_init__(self) -> None:
        """Checks the parameters, which may come from a file."""
        if not (0 <= self.slope < math.inf and math.isfinite(self.intercept)):
            raise ValueError("`slope` and `intercept` must be finite, and the slope not negative")

    def __call__(self, value: float) -> float:
        """The probability at a value."""
        # exp overflows above 709.7; an infinite value times a slope of 0 would be NaN.
        odds = self.intercept + (self.slope * value if self.slope else 0.0)
        return 1 / (1 + math.exp(min(-odds, 709.0)))


def fit_platt(values: Sequence[float], labels: Sequence[float]) -> PlattMap:
    """Minimises the cross-entropy to Platt's targets, with a slope of 0 or more.

    The targets (n+ + 1) / (n+ + 2) and 1 / (n- + 2) in place of 1 and 0 keep the parameters finite
    where a threshold separates the documents. A value of ``LARGEST_VALUE``, which stands for an
    infinite one, counts as the largest of the others, and its negative as the smallest: either
    would flatten the slope for all.

    Args:
        values: of the documents.
        labels: of the documents, 1 for relevant and 0 for not.
    """
    import numpy as np
    from scipy.optimize import minimize
    from scipy.special import expit

    given, relevant = np.array(values), np.array(labels)
    finite = given[np.abs(given) < LARGEST_VALUE]
    if finite.size:
        given = np.clip(given, finite.min(), finite.max())
    positives = relevant.sum()
    negatives = len(relevant) - positives
    targets = np.where(relevant == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    centre, scale = given.mean(), given.std()
    if scale <= 1e-12 * max(abs(centre), 1e-100):  # all values are equal
        share = targets.mean()
        return PlattMap("platt", 0.0, float(np.log(share / (1 - share))))
    standard = (given - centre) / scale

    def loss(parameters: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> tuple[float, object]:
        odds = parameters[0] * standard + parameters[1]
        errors = expit(odds) - targets
        gradient = np.array([(errors * standard).mean(), errors.mean()])
        return float((np.logaddexp(0, odds) - targets * odds).mean()), gradient

    slope, intercept = minimize(
        loss, np.zeros(2), jac=True, method="L-BFGS-B", bounds=[(0, None), (None, None)],
        options={"ftol": 1e-15, "gtol": 1e-10},
    ).x  # fmt: skip
    return PlattMap("platt", float(slope / scale), float(intercept - slope * centre / scale))
