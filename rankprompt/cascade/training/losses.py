"""The losses of the three stages; lower is better.

A distillation loss takes the student's scores, the teacher's scores and a mask, all of shape
(lists, windows): a list holds the windows of a document. Where the mask is false there is no
window, and the scores are ignored.
"""

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch.nn import functional

from rankprompt.cascade.training.config import KEEP

__all__ = [
    "DISTILLATION", "Distillation", "cross_entropy", "gains_of", "kl", "lambda_ndcg2", "mse",
    "ranknet",
]  # fmt: skip

Distillation: TypeAlias = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""(student's scores, teacher's scores, mask) -> the loss, a scalar."""


def ranknet(better: torch.Tensor, worse: torch.Tensor) -> torch.Tensor:
    """RankNet (Burges et al. 2005): the mean of -log sigmoid(better - worse).

    For two texts it equals the softmax cross-entropy of the better one.

    Args:
        better: Scores that should be higher, any shape.
        worse: Scores that should be lower, same shape.
    """
    return functional.softplus(worse - better).mean()


def mse(student: torch.Tensor, teacher: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The mean squared error over all windows."""
    return _mean((student - teacher)[mask] ** 2, student)


def kl(student: torch.Tensor, teacher: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The KL divergence of the student's softmax over a list from the teacher's; list mean."""
    log_student, log_teacher = _log_softmax(student, mask), _log_softmax(teacher, mask)
    return _mean_list((log_teacher.exp() * (log_teacher - log_student)), mask)


def cross_entropy(student: torch.Tensor, teacher: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The soft cross-entropy of the student's softmax under the teacher's; list mean."""
    log_student, log_teacher = _log_softmax(student, mask), _log_softmax(teacher, mask)
    return _mean_list(-log_teacher.exp() * log_student, mask)


def gains_of(teacher: torch.Tensor, mask: torch.Tensor, top: int = KEEP) -> torch.Tensor:
    """Labels of IDCM, section 3.4: the teacher's best ``top`` windows get top..1, others 0.

    Of equal scores, the window that comes first ranks first.
    """
    ranks = _ranks(teacher, mask)
    return (top + 1 - ranks).clamp(min=0).to(teacher.dtype) * mask


def lambda_ndcg2(
    student: torch.Tensor, teacher: torch.Tensor, mask: torch.Tensor, top: int = KEEP
) -> torch.Tensor:
    """LambdaLoss with nDCG-Loss2 (Wang et al. 2018, section 6.2) on the labels of ``gains_of``.

    A pair of windows with different labels contributes log2(1 + exp(-(score difference))), times
    the difference of their gains, (2^label - 1) / (the list's best DCG), times
    |1/D(d) - 1/D(d + 1)|, where d is the distance of their ranks under the student and
    D(d) = log2(1 + d). The loss is the mean over the lists with such a pair.
    """
    labels = gains_of(teacher, mask, top)
    ranks = _ranks(student.detach(), mask)
    gains = (2**labels - 1) * mask
    discounts = torch.log2(1 + _ranks(teacher, mask).to(gains.dtype))
    best_dcg = (gains / discounts).sum(-1).clamp(min=1e-12)
    gains = gains / best_dcg[:, None]
    distance = (ranks[:, :, None] - ranks[:, None, :]).abs().clamp(min=1).to(gains.dtype)
    delta = (1 / torch.log2(1 + distance) - 1 / torch.log2(2 + distance)).abs()
    weight = delta * (gains[:, :, None] - gains[:, None, :]).abs()
    pairs = (labels[:, :, None] > labels[:, None, :]) & mask[:, :, None] & mask[:, None, :]
    student = torch.where(mask, student, 0)
    costs = functional.softplus(student[:, None, :] - student[:, :, None]) / torch.log(
        torch.tensor(2.0)
    )
    lists = (weight * costs * pairs).sum((1, 2))
    return _mean(lists[pairs.flatten(1).any(1)], student)


DISTILLATION: dict[str, Distillation] = {
    "mse": mse, "kl": kl, "cross-entropy": cross_entropy, "lambda": lambda_ndcg2,
}  # fmt: skip
"""The distillation losses that the paper compares; LambdaLoss is the best there."""


def _ranks(scores: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Ranks from 1, best first, ties in their order; masked windows come last."""
    order = torch.where(mask, scores, -torch.inf).argsort(dim=-1, descending=True, stable=True)
    return order.argsort(dim=-1) + 1


def _log_softmax(scores: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    # Not -inf, which would make the gradient NaN in a list without windows.
    return torch.where(mask, scores, -1e9).log_softmax(-1)


def _mean_list(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    lists = torch.where(mask, values, 0).sum(-1)
    return _mean(lists[mask.any(-1)], values)


def _mean(values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """The mean; of no values, a 0 that still belongs to the graph."""
    return values.mean() if values.numel() else torch.where(like == like, 0 * like, 0).sum()
