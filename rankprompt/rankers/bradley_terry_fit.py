"""Strengths from pairwise answers: the maximum a posteriori of a Bradley-Terry model."""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float64]

__all__ = ["Strengths", "fit_strengths"]

_STEPS = 200  # far more steps than it takes


class Strengths(NamedTuple):
    """A normal approximation to the posterior of N items' strengths.

    Attributes:
        mean: shape (N,); higher is better.
        covariance: shape (N, N).
    """

    mean: "Array"
    covariance: "Array"


def fit_strengths(
    wins: "Array",
    prior: "Array",
    *,
    precision: float,
    lapse: float = 0.0,
    start: "Array | None" = None,
    tolerance: float = 1e-6,
) -> Strengths:
    """Finds the most probable strengths after some answers.

    Item i is preferred to j with probability 1 / (1 + exp(s_j - s_i)) (Bradley and Terry 1952,
    Rank Analysis of Incomplete Block Designs, with s the logarithm of their pi), unless the answer
    is a lapse: then it is wrong or right whatever the strengths (the lapse rate of psychometric
    functions; similar to the bad annotator of Crowd-BT, Chen et al. 2013). With lapses, an upset
    against a far weaker item is weak evidence, so a wrong answer moves the strengths only a little.

    Args:
        wins: shape (N, N); how often the row was preferred to the column. Fractions are allowed: a
            tie is half a win for each.
        prior: shape (N,); the strengths expected before any answer.
        precision: the inverse variance of the prior; above 0, which also keeps the strength of an
            item that always wins finite.
        lapse: the probability that an answer is wrong however far apart the strengths are; below
            0.5. With 0 the most probable strengths are unique.
        start: the strengths to begin at; None for ``prior``.
        tolerance: stop where the next step would move no strength by more than this.

    Returns:
        The maximum of the posterior, and the inverse of its expected information (Laplace's
        approximation).
    """
    import numpy as np

    def win_probability(strengths: "Array") -> "Array":
        """The probability that the row is preferred to the column, without lapses."""
        gaps = np.clip(strengths[:, None] - strengths[None, :], -30, 30)
        return np.asarray(1 / (1 + np.exp(-gaps)))

    def loss(strengths: "Array") -> float:
        """The negative log-posterior, but for a constant."""
        loglikelihood = (wins * np.log(lapse + (1 - 2 * lapse) * win_probability(strengths))).sum()
        return float(precision / 2 * ((strengths - prior) ** 2).sum() - loglikelihood)

    games = wins + wins.T
    strengths = np.array(prior if start is None else start, dtype=np.float64)
    for _ in range(_STEPS):
        win = win_probability(strengths)
        answer = lapse + (1 - 2 * lapse) * win
        slope = (1 - 2 * lapse) * win * (1 - win)
        weight = slope / (answer * (1 - answer))
        gradient = ((wins - games * answer) * weight).sum(1) - precision * (strengths - prior)
        links = games * slope * weight
        information = np.diag(links.sum(1) + precision) - links
        # Answers that lapses explain bend the posterior less than the expected information says;
        # there Fisher's steps are tiny. Newton's steps are taken where they lead uphill.
        observed = wins * slope / answer * (slope / answer - (1 - 2 * win))
        observed = observed + observed.T
        curvature = np.diag(observed.sum(1) + precision) - observed
        try:
            np.linalg.cholesky(curvature)
        except np.linalg.LinAlgError:
            curvature = information
        step = np.linalg.solve(curvature, gradient)
        if np.abs(step).max(initial=0) < tolerance:
            break
        # With lapses the posterior may have several maxima: a step must lower the loss.
        current = loss(strengths)
        while loss(strengths + step) > current and np.abs(step).max() > tolerance:
            step /= 2
        strengths = strengths + step
    return Strengths(strengths, np.asarray(np.linalg.inv(information), dtype=np.float64))
