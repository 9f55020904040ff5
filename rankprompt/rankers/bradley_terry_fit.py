"""Strengths from pairwise answers: the Bradley-Terry model, by Newton's steps or Fisher's."""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float64]

__all__ = ["Strengths", "fit_strengths"]

_STEPS = 200  # far more than it takes


class Strengths(NamedTuple):
    """A normal approximation of what is known of N items' strengths.

    ``mean`` has shape (N,), higher is better; ``covariance`` has shape (N, N).
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
    near: float = 1e-6,
) -> Strengths:
    """Finds the strengths that are the most probable after some answers.

    Item i is preferred to j with probability 1 / (1 + exp(s_j - s_i)) (Bradley and Terry 1952,
    Rank Analysis of Incomplete Block Designs, with s the logarithm of their pi), unless the answer
    is a lapse, which is one thing or its opposite whatever the strengths (as the lapse rate of
    psychometric functions; Crowd-BT's bad annotator, Chen et al. 2013, is near to it). A lapse
    makes an upset weak evidence: one wrong answer against a far weaker item moves little.

    Args:
        wins: shape (N, N); how often row was preferred to column, fractions allowed (a tie is half
            a win each).
        prior: shape (N,), the strengths expected before any answer.
        precision: of that expectation, the inverse of a variance; above 0, which also keeps an
            item that always wins from an infinite strength.
        lapse: the probability that an answer is wrong however far apart the two are; below 0.5.
            Where it is 0 the most probable strengths are unique.
        start: where to begin, ``prior`` if left out.
        near: stop where the next step would move no strength by more than this.

    Returns:
        The maximum of the posterior, and the inverse of its expected information (Laplace's
        approximation).
    """
    import numpy as np

    def chance(strengths: "Array") -> "Array":
        """Of row being preferred to column, before any lapse."""
        gaps = np.clip(strengths[:, None] - strengths[None, :], -30, 30)
        return np.asarray(1 / (1 + np.exp(-gaps)))

    def misfit(strengths: "Array") -> float:
        answers = (wins * np.log(lapse + (1 - 2 * lapse) * chance(strengths))).sum()
        return float(precision / 2 * ((strengths - prior) ** 2).sum() - answers)

    games = wins + wins.T
    strengths = np.array(prior if start is None else start, dtype=np.float64)
    for _ in range(_STEPS):
        win = chance(strengths)
        shown = lapse + (1 - 2 * lapse) * win
        slope = (1 - 2 * lapse) * win * (1 - win)
        weight = slope / (shown * (1 - shown))
        gradient = ((wins - games * shown) * weight).sum(1) - precision * (strengths - prior)
        links = games * slope * weight
        information = np.diag(links.sum(1) + precision) - links
        # Answers that lapses explain bend the posterior less than is expected of them: there the
        # expected information makes tiny steps, and Newton's own are taken where they lead up.
        seen = wins * slope / shown * (slope / shown - (1 - 2 * win))
        seen = seen + seen.T
        bent = np.diag(seen.sum(1) + precision) - seen
        try:
            np.linalg.cholesky(bent)
        except np.linalg.LinAlgError:
            bent = information
        step = np.linalg.solve(bent, gradient)
        if np.abs(step).max(initial=0) < near:
            break
        # With lapses the posterior may have hollows: go only where it is better than here.
        here = misfit(strengths)
        while misfit(strengths + step) > here and np.abs(step).max() > near:
            step /= 2
        strengths = strengths + step
    return Strengths(strengths, np.asarray(np.linalg.inv(information), dtype=np.float64))
