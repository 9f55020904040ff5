"""Fusion of runs: several rankings of the same queries become one, by ranx."""

import logging
import math
import os
import sys
import warnings
from array import array
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from rankprompt.errors import InputError, UnknownNameError
from rankprompt.eval.ranx_import import import_ranx, one_at_a_time
from rankprompt.types import Run

__all__ = ["METHODS", "NORMS", "RRF_K", "fuse"]

log = logging.getLogger("rankprompt")

RRF_K = 60
"""Of Cormack, Clarke and Buettcher, SIGIR 2009."""

_QUERIES = 100  # fused at a time: ranx copies what it is given several times over


class _Method(NamedTuple):
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
"""The methods of ranx that need no training and no settings of a collection's own."""

NORMS = ("min-max", "zmuv", "none")
"""What scores are brought to before they are added: 0 to 1, mean 0 and variance 1, or as given."""


def fuse(
    runs: Sequence[Run],
    method: str = "rrf",
    *,
    k: int | None = None,
    norm: str | None = None,
    weights: Sequence[float] | None = None,
) -> Iterator[tuple[str, dict[str, float]]]:
    """Fuses runs, whose documents stand best first.

    A document's scores, over the runs that found it: ``rrf`` adds 1 / (k + rank), ``isr`` adds
    1 / rank^2 and multiplies by the number of runs that found it, ``borda`` adds the number of
    documents that it beats, one up, where those that a run lacks share its last places;
    ``combsum`` adds normalised scores, ``combmax`` takes the largest, ``combmnz`` multiplies their
    sum by their number. ``min-max`` gives a run's last document, and a single one, 0, which is what
    a document gets that the run lacks; with ``zmuv`` that is the mean.

    ranx compiles its code at its first use on a machine, for a minute, and loads it for ten seconds
    in every later process; the log says so. Where ``NUMBA_DISABLE_JIT=1`` is set before numba
    is imported, as ``rankprompt fuse`` does, it does neither, and is no slower for runs of ordinary
    size.

    Args:
        runs: two or more.
        method: one of ``METHODS``.
        k: of ``rrf`` alone; None is 60. The larger, the less a first rank counts.
        norm: one of ``NORMS``, for the methods that read scores; None is min-max.
        weights: of the runs, for ``borda``, ``combsum`` and ``combmnz``.

    Yields:
        A query's id with its scores by document id: best first, those equal in single precision by
        document id. All queries, in the order in which the runs bring them; one that no run has
        documents for with nothing.

    Raises:
        InputError: fewer than two runs, a score is not finite, or a setting does not go with the
            method.
    """
    chosen = _check(runs, method, k, norm, weights)
    params: dict[str, Any] = {}
    if method == "rrf":
        params["k"] = RRF_K if k is None else k
    if weights:
        params["weights"] = [float(one) for one in weights]
    name = (chosen.weighted if weights else None) or chosen.plain
    norm = None if chosen.by_rank or norm == "none" else norm or "min-max"
    return _fuse(runs, chosen.by_rank, {"method": name, "norm": norm, "params": params})


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
        raise InputError(f"k goes with rrf, not with {method}")
    if k is not None and k < 0:
        raise InputError(f"k must be 0 or more, not {k}")
    if norm and chosen.by_rank:
        raise InputError(f"{method} reads ranks, which need no norm")
    if method == "combmnz" and norm == "zmuv":
        raise InputError("combmnz multiplies scores, and those of zmuv may be negative")
    if weights is not None and chosen.weighted is None:
        known = ", ".join(name for name, one in METHODS.items() if one.weighted)
        raise InputError(f"{method} takes no weights; these do: {known}")
    if weights is not None and len(weights) != len(runs):
        raise InputError(f"expected {len(runs)} weights, one a run, not {len(weights)}")
    if weights is not None and not (all(0 <= one < math.inf for one in weights) and any(weights)):
        raise InputError("weights must be 0 or more, and not all 0")
    return chosen


def _fuse(
    runs: Sequence[Run], by_rank: bool, settings: Mapping[str, Any]
) -> Iterator[tuple[str, dict[str, float]]]:
    queries = iter(dict.fromkeys(query for run in runs for query in run))
    if "ranx" not in sys.modules and os.environ.get("NUMBA_DISABLE_JIT", "0") == "0":
        log.info("ranx compiles itself at its first use, which takes a minute")
    ranx = import_ranx()
    while batch := list(islice(queries, _QUERIES)):
        names = {query: _names(runs, query) for query in batch}
        found = [query for query in batch if names[query]]
        scores = _ask(ranx, runs, {query: names[query] for query in found}, by_rank, settings)
        for query in batch:
            yield query, _order(names[query], scores[query]) if query in scores else {}


def _names(runs: Sequence[Run], query: str) -> dict[str, str]:
    """Numbers for a query's documents, by id.

    numba compiles anew for each length of the longest id, so all of them have one length.
    """
    ids = dict.fromkeys(document for run in runs for document in run.get(query, ()))
    return {document: f"{number:08d}" for number, document in enumerate(ids)}


def _ask(
    ranx: Any,
    runs: Sequence[Run],
    names: Mapping[str, Mapping[str, str]],
    by_rank: bool,
    settings: Mapping[str, Any],
) -> dict[str, dict[str, float]]:
    """The fused scores by query and document number."""

    def numbered(run: Run, query: str) -> dict[str, float]:
        given = run.get(query, {})
        for document, score in given.items():
            if not math.isfinite(score):
                raise InputError(f"query {query}: the score of document {document} is {score}")
        # ranx sorts by an order that is not stable: ranks must not be left to ties.
        scores = range(len(given), 0, -1) if by_rank else given.values()
        return {
            names[query][document]: float(score)
            for document, score in zip(given, scores, strict=True)
        }

    if not names:
        return {}
    with one_at_a_time, warnings.catch_warnings():
        # numba's about its own types; numpy's about the mean of a query that a run lacks.
        warnings.simplefilter("ignore")
        given = [{query: numbered(run, query) for query in names} for run in runs]
        # ranx makes no run without a document; no query of ours has a blank id.
        fused = ranx.fuse([ranx.Run({"": {"0" * 8: 1.0}, **run}) for run in given], **settings)
        return {query: dict(fused.run[query].items()) for query in names}


def _order(names: Mapping[str, str], scores: Mapping[str, float]) -> dict[str, float]:
    """Orders documents as ``trec_order`` does, but equal ones by id upwards, as BM25 here."""
    found = {document: float(scores[number]) for document, number in names.items()}
    # In single precision, so that sums that differ by the order of their terms are equal.
    single = dict(zip(found, array("f", found.values()), strict=True))
    return {name: found[name] for name in sorted(found, key=lambda name: (-single[name], name))}
