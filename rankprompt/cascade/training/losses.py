"""The losses of the three stages; lower is better, each a mean over what it compares.

A distillation loss reads a student's scores, a teacher's scores and a mask, all of shape
(lists, windows): a list holds a document's windows. Where the mask is false there is no window, and
what stands there counts for nothing.
"""

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch.nn import functional

__all__ = [
    "DISTILLATION",
    "TOP",
    "Distillation",
    "cross_entropy",
    "gains_of",
    "kl",
    "lambda_ndcg2",
    "mse",
    "ranknet",
]

Distillation: TypeAlias = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""(student's scores, teacher's scores, mask) -> the loss, a scalar."""

TOP = 4
"""The windows of a list that the LambdaLoss gives a gain: those that a cascade keeps."""


def ranknet(better: torch.Tensor, worse: torch.Tensor) -> torch.Tensor:
    """RankNet (Burges et al. 2005): -log sigmoid of the difference of scores.

    With two texts this is the softmax cross-entropy of the better one, too.

    Args:
        better: scores that should be the higher ones, any shape.
        worse: as many.
    """
    return functional.softplus(worse - better).mean()


def mse(student: torch.Tensor, teacher: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean squared error over all windows there are."""
    return _mean((student - teacher)[mask] ** 2, student)


def kl(student: torch.Tensor, teacher: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Kullback-Leibler divergence of the student's softmax over a list from the teacher's."""
    ours, theirs = _log_softmax(student, mask), _log_softmax(teacher, mask)
    return _mean_list((theirs.exp() * (theirs - ours)), mask)


def cross_entropy(student: torch.Tensor, teacher: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Soft cross-entropy: the student's log-softmax, weighted by the teacher's softmax."""
    ours, theirs = _log_softmax(student, mask), _log_softmax(teacher, mask)
    return _mean_list(-theirs.exp() * ours, mask)


def gains_of(teacher: torch.Tensor, mask: torch.Tensor, top: int = TOP) -> torch.Tensor:
    """The labels of IDCM, section 3.4: the teacher's best ``top`` windows get top..1, others 0.

    Equal scores go to the window that comes first.
    """
    places = _ranks(teacher, mask)
    return (top + 1 - places).clamp(min=0).to(teacher.dtype) * mask


def lambda_ndcg2(
    student: torch.Tensor, teacher: torch.Tensor, mask: torch.Tensor, top: int = TOP
) -> torch.Tensor:
    """LambdaLoss with nDCG-Loss2 (Wang et al. 2018, section 6.2), on the gains of ``gains_of``.

    Over the pairs of windows whose label differs: log2(1 + exp(-(difference of scores))), weighted
    by the difference of their gains, 2^label - 1 over the list's best DCG, and by
    |1/D(d) - 1/D(d + 1)|, where d is how many ranks the student puts between them and
    D(d) = log2(1 + d). The mean over lists with such a pair.
    """
    labels = gains_of(teacher, mask, top)
    ranks = _ranks(student.detach(), mask)
    gains = (2**labels - 1) * mask
    discounts = torch.log2(1 + _ranks(teacher, mask).to(gains.dtype))
    best = (gains / discounts).sum(-1).clamp(min=1e-12)
    gains = gains / best[:, None]
    apart = (ranks[:, :, None] - ranks[:, None, :]).abs().clamp(min=1).to(gains.dtype)
    delta = (1 / torch.log2(1 + apart) - 1 / torch.log2(2 + apart)).abs()
    weight = delta * (gains[:, :, None] - gains[:, None, :]).abs()
    wanted = (labels[:, :, None] > labels[:, None, :]) & mask[:, :, None] & mask[:, None, :]
    student = torch.where(mask, student, 0)
    costs = functional.softplus(student[:, None, :] - student[:, :, None]) / torch.log(
        torch.tensor(2.0)
    )
    lists = (weight * costs * wanted).sum((1, 2))
    return _mean(lists[wanted.flatten(1).any(1)], student)


DISTILLATION: dict[str, Distillation] = {
    "mse": mse,
    "kl": kl,
    "cross-entropy": cross_entropy,
    "lambda": lambda_ndcg2,
}


def _ranks(scores: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Ranks from 1, best first, equal scores in their order; what is masked comes last."""
    order = torch.where(mask, scores, -torch.inf).argsort(dim=-1, descending=True, stable=True)
    return order.argsort(dim=-1) + 1


def _log_softmax(scores: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    # Not -inf: in a list without a window it would make the gradient NaN.
    return torch.where(mask, scores, -1e9).log_softmax(-1)


def _mean_list(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    lists = torch.where(mask, values, 0).sum(-1)
    return _mean(lists[mask.any(-1)], values)


def _mean(values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """The mean; without a value 0, which still belongs to the graph."""
    return values.mean() if values.numel() else torch.where(like == like, 0 * like, 0).sum()
