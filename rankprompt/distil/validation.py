"""How well a student's order agrees with its teacher's, by nDCG."""

import numpy as np
import numpy.typing as npt

from rankprompt.rankers.bradley_terry_fit import fit_sparse_strengths

__all__ = ["mean_ndcg", "teacher_gains"]

Array = npt.NDArray[np.float64]

_PRECISION = 0.25  # of the strengths' prior, as in ``rankers.bradley_terry``


def teacher_gains(
    first: npt.NDArray[np.int64], second: npt.NDArray[np.int64], preference: Array, number: int
) -> Array:
    """What each passage is worth to the teacher, from 0 to 1, by its preferences.

    It is the probability that the passage is preferred to one of mean strength, by the strengths of
    Bradley and Terry's model that are most probable after the preferences, with a normal prior of
    mean 0 and a standard deviation of 2. A mean of preferences would depend on whom a passage was
    compared with, and a tournament compares equals.

    Args:
        first: shape (pairs,); the index of each pair's first passage.
        second: shape (pairs,); of its second passage.
        preference: shape (pairs,); for the first, from 0 to 1.
        number: of passages.

    Returns:
        Shape (number,); 0.5 for a passage of no pair.

    >>> pair = np.array([0]), np.array([1])
    >>> teacher_gains(*pair, np.array([1.0]), 3).round(2).tolist()
    [0.68, 0.32, 0.5]
    """
    strengths = fit_sparse_strengths(first, second, preference, number, precision=_PRECISION)
    return np.asarray(0.5 + 0.5 * np.tanh(strengths / 2))


def mean_ndcg(
    scores: npt.NDArray[np.floating],
    gains: Array,
    queries: npt.NDArray[np.int64],
    k: int = 10,
) -> float:
    """The mean nDCG of the orders that scores give to the passages of each query.

    Args:
        scores: shape (passages,); higher is better, and equal ones keep their order.
        gains: shape (passages,); above 0.
        queries: shape (passages,); the number of each passage's query.
        k: the ranks that count.

    >>> gains, queries = np.array([0.9, 0.1, 0.5, 0.5]), np.array([0, 0, 1, 1])
    >>> mean_ndcg(np.array([2.0, 1.0, 1.0, 2.0]), gains, queries)
    1.0
    """
    discounts = 1 / np.log2(np.arange(2, k + 2))
    found = []
    for query in np.unique(queries):
        own = queries == query
        ranked = gains[own][np.argsort(-scores[own], kind="stable")][:k]
        ideal = np.sort(gains[own])[::-1][:k]
        found.append((ranked @ discounts[: len(ranked)]) / (ideal @ discounts[: len(ideal)]))
    return float(np.mean(found))
