"""Fits a linear head to soft preferences, on hidden states that are given.

The loss is that of RankNet, which is Bradley and Terry's model with the head's scores as strengths:
the cross-entropy between the teacher's preference and the sigmoid of the difference of two scores,
with an L2 penalty. It is convex, so L-BFGS finds the minimum in a few steps, and no chance plays a
part. The penalty is chosen by cross-validation over queries; then all pairs are learnt from.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from rankprompt.distil.validation import mean_ndcg, teacher_gains
from rankprompt.errors import InputError, ModelError

__all__ = ["FittedHead", "IndexedPairs", "fit_head", "share_right"]

# Strengths of the L2 penalty that are tried, on states whose mean squared norm is 1; what differs
# is little, so that a choice by few pairs does no harm (docs/distil.md). Each fit
# starts from the one before, which is the simpler one.
_PENALTIES = (3e-4, 1e-4, 3e-5, 1e-5)
_PARTS = 5  # of the cross-validation
_STEPS = 150  # of L-BFGS, at most


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

    def where(self, mask: npt.NDArray[np.bool_]) -> "IndexedPairs":
        """The pairs of a mask, shape (pairs,)."""
        return IndexedPairs(self.first[mask], self.second[mask], self.preference[mask])


@dataclass(frozen=True)
class FittedHead:
    """A head, and how it was found.

    Attributes:
        penalty: the strength of the L2 penalty.
        weight: shape (width,), for states as they are.
        bias: makes 0 the mean score of the passages that were learnt from.
        learned: the share of the pairs that it orders as the teacher does; it has learnt from them.
        right: this share in cross-validation, by heads that have learnt from other queries.
        ndcg: nDCG@10 in cross-validation, with the teacher's gains (``teacher_gains``).
        curve: a row for each penalty: "penalty", "loss" (the cross-entropy in cross-validation, in
            nats a pair), "learned", "held_out" and "ndcg", as the three attributes above.
    """

    penalty: float
    weight: npt.NDArray[np.float32]
    bias: float
    learned: float
    right: float
    ndcg: float
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
    states: npt.NDArray[np.float32],
    pairs: IndexedPairs,
    queries: npt.NDArray[np.int64],
    seed: int = 0,
) -> FittedHead:
    """Fits a head with the penalty that orders most pairs of other queries right.

    Args:
        states: shape (passages, width).
        pairs: the pairs to learn from, none of them a tie.
        queries: shape (passages,); the number of each passage's query, from 0; at least two.
        seed: draws the parts of the queries for cross-validation.

    Raises:
        InputError: a preference is no probability.
        ModelError: the states are not finite.
    """
    pairs.checked()
    if not np.isfinite(states).all():
        raise ModelError("the states of the student are not finite: no head can read them")
    mean = states.mean(axis=0, dtype=np.float64)
    # Standardised without a look at preferences, so that held-out passages give nothing away.
    scale = (states.std(axis=0, dtype=np.float64) + 1e-6) * np.sqrt(states.shape[1])
    inputs = torch.from_numpy(((states - mean) / scale).astype(np.float32))
    number = int(queries.max()) + 1
    parts = np.random.default_rng(seed).permutation(number)[queries] % min(_PARTS, number)
    held_out = np.zeros((len(_PENALTIES), len(states)))
    for part in range(min(_PARTS, number)):
        inside = parts == part
        weights = _fits(inputs, pairs.where(~inside[pairs.first]))
        held_out[:, inside] = weights @ inputs.numpy()[inside].T
    weights = _fits(inputs, pairs)
    gains = teacher_gains(pairs.first, pairs.second, pairs.preference, len(states))
    target = torch.from_numpy(pairs.preference)
    curve = [
        {
            "penalty": penalty,
            "loss": _loss(torch.from_numpy(scores), pairs, target).item(),
            "learned": share_right(inputs.numpy() @ weight, pairs),
            "held_out": share_right(scores, pairs),
            "ndcg": mean_ndcg(scores, gains, queries),
        }
        for penalty, weight, scores in zip(_PENALTIES, weights, held_out, strict=True)
    ]
    best = max(range(len(curve)), key=lambda place: curve[place]["held_out"])
    row, own = curve[best], weights[best] / scale
    return FittedHead(
        row["penalty"], own.astype(np.float32), float(-(own @ mean)), row["learned"],
        row["held_out"], row["ndcg"], curve,
    )  # fmt: skip


def _fits(inputs: torch.Tensor, pairs: IndexedPairs) -> npt.NDArray[np.float32]:
    """The weights for each penalty, shape (penalties, width)."""
    weight = torch.zeros(inputs.shape[1], requires_grad=True)
    target = torch.from_numpy(pairs.preference)
    found = []
    for penalty in _PENALTIES:
        optimizer = torch.optim.LBFGS([weight], max_iter=_STEPS, line_search_fn="strong_wolfe")

        def loss(
            optimizer: torch.optim.LBFGS = optimizer, penalty: float = penalty
        ) -> torch.Tensor:
            optimizer.zero_grad()
            value = _loss(inputs @ weight, pairs, target) + penalty * weight.square().sum() / 2
            value.backward()  # type: ignore[no-untyped-call]
            return value

        optimizer.step(loss)  # type: ignore[no-untyped-call]
        found.append(weight.detach().numpy().copy())
    return np.stack(found)


def _loss(scores: torch.Tensor, pairs: IndexedPairs, target: torch.Tensor) -> torch.Tensor:
    """The mean cross-entropy of the pairs."""
    first, second = torch.from_numpy(pairs.first), torch.from_numpy(pairs.second)
    gaps = (scores[first] - scores[second]).double()
    return binary_cross_entropy_with_logits(gaps, target)
