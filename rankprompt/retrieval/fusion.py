"""Fusion of runs in memory: several rankings of the same queries become one, by ranx."""

import logging
import math
import os
import sys
import warnings
from array import array
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from types import ModuleType
from typing import NamedTuple

from rankprompt.errors import InputError, UnknownNameError
from rankprompt.retrieval.ranx_import import import_ranx, one_at_a_time
from rankprompt.types import Run

__all__ = ["DEFAULT_NORM", "METHODS", "NORMS", "RRF_K", "fuse"]

log = logging.getLogger("rankprompt")

RRF_K = 60
"""The constant of Cormack, Clarke and Buettcher, SIGIR 2009."""

_BATCH = 100  # queries fused at a time, because ranx copies its input several times


class _Method(NamedTuple):
    """A method of ranx: its name without and with weights, and whether it reads only ranks."""

    plain: str
    weighted: str | None
    by_rank: bool


METHODS: Mapping[str, _Method] = {
    "rrf": _Method("rrf", None, by_rank=True),
    "isr": _Method("isr", None, by_rank=True),
    "borda": _Method("bordafuse", "w_bordafuse", by_rank=True),
    "combsum": _Method("sum", "wsum", by_rank=False),
    "combmnz": _Method("mnz", "wmnz", by_rank=False),
    "combmax": _Method("max", None, by_rank=False),
}
"""The methods of ranx that need neither training nor parameters of a collection."""

NORMS = ("min-max", "zmuv", "none")
"""Normalisations of scores: to 0 to 1, to mean 0 and variance 1, and none."""
DEFAULT_NORM = "min-max"


class _RanxCall(NamedTuple):
    method: str
    norm: str | None
    params: dict[str, float | list[float]]


def fuse(
    runs: Sequence[Run],
    method: str = "rrf",
    *,
    k: int | None = None,
    norm: str | None = None,
    weights: Sequence[float] | None = None,
) -> Iterator[tuple[str, dict[str, float]]]:
    """Fuses runs, whose documents are ordered best first.

    The score of a document, over the runs that contain it:

    * ``rrf``: the sum of 1 / (k + rank).
    * ``isr``: the sum of 1 / rank^2, times the number of runs that contain it.
    * ``borda``: the sum of the number of documents that it is ranked above, plus 1. Documents that
      a run lacks share its last ranks.
    * ``combsum``: the sum of the normalised scores; ``combmax``: the largest of them; ``combmnz``:
      their sum times their number.

    ``min-max`` gives 0 to the last document of a run, and to a single one, as to documents that the
    run lacks. ``zmuv`` gives those that the run lacks the mean, 0.

    numba compiles ranx at its first use on a machine, which takes a minute, and loads the code in
    every later process, which takes ten seconds; the log says so. It does neither if
    ``NUMBA_DISABLE_JIT=1`` is set before numba is imported, and is then no slower for runs of
    ordinary size.

    Args:
        runs: two or more runs.
        method: one of ``METHODS``.
        k: the constant of ``rrf``, 0 or more; None for 60. A larger k makes the first ranks count
            less.
        norm: one of ``NORMS``, for the methods that read scores; None for min-max.
        weights: the weights of the runs, for ``borda``, ``combsum`` and ``combmnz``.

    Yields:
        Each query's id with its scores by document id, best first; scores that are equal in single
        precision are ordered by document id. All queries are there, in the order in which they
        occur in the runs; a query without documents has no scores.

    Raises:
        InputError: there are fewer than two runs, a score is not finite, or an argument does not
            go with the method.
    """
    chosen = _check(runs, method, k, norm, weights)
    params: dict[str, float | list[float]] = {}
    if method == "rrf":
        params["k"] = RRF_K if k is None else k
    if weights:
        params["weights"] = [float(weight) for weight in weights]
    name = (chosen.weighted if weights else None) or chosen.plain
    ranx_norm = None if chosen.by_rank or norm == "none" else norm or DEFAULT_NORM
    return _fuse(runs, chosen.by_rank, _RanxCall(name, ranx_norm, params))


def _check(
    runs: Sequence[Run],
    method: str,
    k: int | None,
    norm: str | None,
    weights: Sequence[float] | None,
) -> _Method:
    if method not in METHODS:
        raise UnknownNameError("method", method, METHODS)
    if norm is not None and norm not in NORMS:
        raise UnknownNameError("norm", norm, NORMS)
    chosen = METHODS[method]
    if len(runs) < 2:
        raise InputError(f"fusion needs two or more runs, not {len(runs)}")
    if k is not None and method != "rrf":
        raise InputError(f"`k` goes with rrf, not with {method}")
    if k is not None and k < 0:
        raise InputError(f"`k` must be 0 or more, not {k}")
    if norm and chosen.by_rank:
        raise InputError(f"{method} reads ranks, which need no `norm`")
    if method == "combmnz" and norm == "zmuv":
        raise InputError("combmnz multiplies scores, and those of zmuv may be negative")
    if weights is not None:
        if chosen.weighted is None:
            weighted = ", ".join(name for name, other in METHODS.items() if other.weighted)
            raise InputError(f"{method} takes no `weights`; these do: {weighted}")
        if len(weights) != len(runs):
            raise InputError(
                f"`weights` needs {len(runs)} numbers, one for each run, not {len(weights)}"
            )
        if not (all(0 <= weight < math.inf for weight in weights) and any(weights)):
            raise InputError("`weights` must be 0 or more, and not all 0")
    return chosen


def _fuse(
    runs: Sequence[Run], by_rank: bool, call: _RanxCall
) -> Iterator[tuple[str, dict[str, float]]]:
    queries = iter(dict.fromkeys(query for run in runs for query in run))
    if "ranx" not in sys.modules and os.environ.get("NUMBA_DISABLE_JIT", "0") == "0":
        log.info("ranx is compiled at its first use, which takes a minute")
    ranx = import_ranx()
    while batch := list(islice(queries, _BATCH)):
        numbers = {query: _number_documents(runs, query) for query in batch}
        with_documents = {query: numbered for query, numbered in numbers.items() if numbered}
        scores = _call_ranx(ranx, runs, with_documents, by_rank, call)
        for query in batch:
            yield query, _order(numbers[query], scores[query]) if query in scores else {}


def _number_documents(runs: Sequence[Run], query: str) -> dict[str, str]:
    """Returns a number for each document of a query, by its id.

    numba compiles again for each length of the longest id, so all numbers have the same length.
    """
    ids = dict.fromkeys(document for run in runs for document in run.get(query, ()))
    return {document: f"{number:08d}" for number, document in enumerate(ids)}


def _call_ranx(
    ranx: ModuleType,
    runs: Sequence[Run],
    numbers: Mapping[str, Mapping[str, str]],
    by_rank: bool,
    call: _RanxCall,
) -> dict[str, dict[str, float]]:
    """Returns the fused scores by query and document number."""

    def renumber(run: Run, query: str) -> dict[str, float]:
        of_query = run.get(query, {})
        for document, score in of_query.items():
            if not math.isfinite(score):
                raise InputError(f"query {query}: the score of document {document} is {score}")
        # ranx's sort is not stable, so ranks must not depend on ties.
        scores = range(len(of_query), 0, -1) if by_rank else of_query.values()
        return {
            numbers[query][document]: float(score)
            for document, score in zip(of_query, scores, strict=True)
        }

    if not numbers:
        return {}
    with one_at_a_time, warnings.catch_warnings():
        # numba warns about its own types, numpy about the mean of a query that a run lacks.
        warnings.simplefilter("ignore")
        # ranx cannot make a run without documents; no query of ours has an empty id.
        fused = ranx.fuse(
            [
                ranx.Run({"": {"0" * 8: 1.0}, **{query: renumber(run, query) for query in numbers}})
                for run in runs
            ],
            **call._asdict(),
        )
        return {query: dict(fused.run[query].items()) for query in numbers}


def _order(numbers: Mapping[str, str], scores: Mapping[str, float]) -> dict[str, float]:
    """Orders documents by score, best first; equal scores by id, ascending, as in BM25 here."""
    by_document = {document: float(scores[number]) for document, number in numbers.items()}
    # In single precision, sums that differ only by the order of their terms are equal.
    single = dict(zip(by_document, array("f", by_document.values()), strict=True))
    best_first = sorted(by_document, key=lambda document: (-single[document], document))
    return {document: by_document[document] for document in best_first}
