"""Fits a linear head to soft preferences, on hidden states that are given.

The loss is that of RankNet, which is Bradley and Terry's model with the head's scores as strengths:
the cross-entropy between the teacher's preference and the sigmoid of the difference of two scores.
It is convex, so L-BFGS finds the minimum in a few steps, and no chance plays a part.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from rankprompt.errors import InputError, ModelError

__all__ = ["FittedHead", "IndexedPairs", "fit_head", "share_right"]

# Strengths of the L2 penalty that are tried, on standardised states.
_PENALTIES = (1e-3, 1e-2, 1e-1)
# Rounds of L-BFGS, its steps in each, and how many rounds without a gain end the fit.
_ROUNDS, _STEPS, _PATIENCE = 30, 4, 5


class IndexedPairs(NamedTuple):
    """Pairs of passages by their index, and the preference for the first; each of shape (pairs,).

    Raises:
        InputError: (``checked``) a preference is no probability.
    """

    first: npt.NDArray[np.int64]
    second: npt.NDArray[np.int64]
    preference: npt.NDArray[np.float64]

    def checked(self) -> "IndexedPairs":
        """The same pairs, if each preference is a probability."""
        wrong = ~((self.preference >= 0) & (self.preference <= 1))
        if wrong.any():
            raise InputError(
                f"{wrong.sum()} of {len(wrong)} preferences of the teacher are no probabilities, "
                f"the first {self.preference[wrong][0]}: nothing can be learnt from them"
            )
        return self


@dataclass(frozen=True)
class FittedHead:
    """A head, and how it was found.

    Attributes:
        layer: the layer whose states it reads.
        penalty: the strength of the L2 penalty.
        weight: shape (hidden size,), for states as they are.
        bias: makes 0 the mean score of the passages that were learnt from.
        right: the share of the validation's pairs that it orders as the teacher does.
        curve: a row for each round of each fit: layer, penalty, step, loss and shares of pairs that
            are right, of those learnt and of those to validate on.
    """

    layer: int
    penalty: float
    weight: npt.NDArray[np.float32]
    bias: float
    right: float
    curve: list[dict[str, float]]


def share_right(scores: npt.NDArray[np.floating], pairs: IndexedPairs) -> float:
    """The share of pairs whose scores, shape (passages,), agree with the preference.

    A tie of scores counts as half. No preference may be 0.5.

    >>> pairs = IndexedPairs(np.array([0, 1]), np.array([1, 2]), np.array([0.9, 0.9]))
    >>> share_right(np.array([3.0, 1.0, 2.0]), pairs)
    0.5
    """
    gap = np.sign(scores[pairs.first] - scores[pairs.second])
    return float(np.mean((gap * np.sign(pairs.preference - 0.5) + 1) / 2))


def fit_head(
    states: Mapping[int, npt.NDArray[np.float32]],
    learned: IndexedPairs,
    held_out: IndexedPairs,
) -> FittedHead:
    """Fits a head for each layer and penalty, and returns the one with most pairs right.

    Args:
        states: by layer: shape (passages, hidden size).
        learned: the pairs to learn from.
        held_out: the pairs to validate on, of other queries: they choose the layer, the penalty and
            the step at which a fit stops.

    Raises:
        InputError: a preference is no probability.
        ModelError: the states are not finite.
    """
    learned.checked(), held_out.checked()
    best: FittedHead | None = None
    curve: list[dict[str, float]] = []
    for layer, of_layer in states.items():
        if not np.isfinite(of_layer).all():
            raise ModelError(f"the states of layer {layer} are not finite: no head can read them")
        for penalty in _PENALTIES:
            found = _fit(layer, of_layer, penalty, learned, held_out, curve)
            if best is None or found.right > best.right:
                best = found
    assert best is not None, "a student has layers"
    return best


def _fit(
    layer: int,
    states: npt.NDArray[np.float32],
    penalty: float,
    learned: IndexedPairs,
    held_out: IndexedPairs,
    curve: list[dict[str, float]],
) -> FittedHead:
    seen = np.unique(np.concatenate([learned.first, learned.second]))
    mean = states[seen].mean(axis=0, dtype=np.float64)
    spread = states[seen].std(axis=0, dtype=np.float64) + 1e-6
    inputs = torch.from_numpy((states - mean) / spread)
    first, second, target = map(torch.from_numpy, learned)
    weight = torch.zeros(inputs.shape[1], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        scores = inputs @ weight
        fit = binary_cross_entropy_with_logits(scores[first] - scores[second], target)
        penalised = fit + penalty * weight.square().sum() / 2
        penalised.backward()  # type: ignore[no-untyped-call]
        return penalised

    best, kept, stale = -1.0, weight.detach().clone(), 0
    for step in range(1, _ROUNDS + 1):
        value = optimizer.step(loss).item()  # type: ignore[no-untyped-call]
        scores = (inputs @ weight).detach().numpy()
        right = share_right(scores, held_out)
        curve.append(
            {
                "layer": layer,
                "penalty": penalty,
                "step": step,
                "loss": value,
                "learned": share_right(scores, learned),
                "held_out": right,
            }
        )
        if right > best:
            best, kept, stale = right, weight.detach().clone(), 0
        else:
            stale += 1
            if stale == _PATIENCE:
                break
    own = kept.numpy() / spread
    return FittedHead(layer, penalty, own.astype(np.float32), float(-(own @ mean)), best, curve)
