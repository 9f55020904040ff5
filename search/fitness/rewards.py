"""Rewards of single answers."""

import math
from collections.abc import Sequence

__all__ = ["piecewise", "probabilities"]


def probabilities(loglikelihoods: Sequence[float]) -> list[float]:
    """The options' shares of their joint probability, in the same order.

    An option of several tokens counts with the product of their probabilities, whatever its
    length. NaN where no option is possible.
    """
    most = max(loglikelihoods)
    if not math.isfinite(most) or any(map(math.isnan, loglikelihoods)):
        return [math.nan] * len(loglikelihoods)
    weights = [math.exp(one - most) for one in loglikelihoods]
    return [one / sum(weights) for one in weights]


def piecewise(shares: Sequence[float], right: int, gain_right: float, gain_wrong: float) -> float:
    """The piecewise reward of an answer (RLPrompt, arXiv 2205.12548; PromptQuine, 2506.17930).

    The gap between the right option's probability and the best other one's, times ``gain_right``
    where it is positive, else times ``gain_wrong``.
    """
    gap = shares[right] - max(share for place, share in enumerate(shares) if place != right)
    return gap * (gain_right if gap > 0 else gain_wrong)
