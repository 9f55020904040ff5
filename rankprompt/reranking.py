"""Reranks candidates: one flow a query, all of them together, before one judge."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from rankprompt.errors import InputError
from rankprompt.flows import about, run, together
from rankprompt.judges import Judge
from rankprompt.records import Candidates, Comparison, Document, Preference, Query
from rankprompt.seeds import uniform
from rankprompt.sorting import Ranker

__all__ = ["INPUT_ORDERS", "Reranked", "merge", "rerank"]

INPUT_ORDERS = ("given", "inverse", "random")


class Reranked(NamedTuple):
    """What ``rerank`` returns.

    ``rankings`` holds document ids, best first, by query id; ``rounds`` is how many times a judge
    was asked, one after the other, whatever the number of queries in a round.
    """

    rankings: dict[str, list[str]]
    rounds: int


def rerank(
    candidates: Sequence[Candidates],
    judge: Judge,
    ranker: Ranker,
    *,
    input_order: str = "given",
    seed: int = 0,
    on_round: Callable[[int], None] = lambda _: None,
) -> Reranked:
    """Reranks the candidates of each query.

    Args:
        candidates: a query and its documents, best first.
        judge: says which of two documents is the more relevant.
        ranker: from ``rankprompt.sorting``, its settings bound.
        input_order: how the ranker meets the documents: "given", "inverse" or "random" (by the
            seed). Sorts that stop early lean on a good input order; this shows how much.
        seed: of the random input order.
        on_round: called before each round with its number of comparisons.

    Returns:
        Rankings in the order of ``candidates``, each a permutation of its documents.

    Raises:
        InputError: no such input order, or a query id that stands twice.
    """
    if input_order not in INPUT_ORDERS:
        raise InputError(f"input order must be {', '.join(INPUT_ORDERS)}, not {input_order!r}")
    if len({one.query.id for one in candidates}) < len(candidates):
        raise InputError("a query id stands twice among the candidates")
    rounds = 0

    def ask(comparisons: Sequence[Comparison]) -> Sequence[Preference]:
        nonlocal rounds
        rounds += 1
        on_round(len(comparisons))
        return judge(comparisons)

    flows = [
        about(ranker(_arrange(one, input_order, seed)), partial(_compare, one.query))
        for one in candidates
    ]
    ranked = run(together(flows), ask)
    rankings = {
        one.query.id: [document.id for document in documents]
        for one, documents in zip(candidates, ranked, strict=True)
    }
    return Reranked(rankings, rounds)


def merge(first_stage: Sequence[str], reranked: Sequence[str]) -> list[str]:
    """Puts a reranked part back into its first stage's ranking.

    The reranked documents share out among themselves the places that they had; every other
    document (below the depth, or without text) keeps its own.
    """
    part, moved = iter(reranked), set(reranked)
    return [next(part) if name in moved else name for name in first_stage]


def _compare(query: Query, pair: tuple[Document, Document]) -> Comparison:
    return Comparison(query, *pair)


def _arrange(candidates: Candidates, order: str, seed: int) -> list[Document]:
    query, documents, _ = candidates
    if order == "inverse":
        return list(reversed(documents))
    if order == "random":
        return sorted(documents, key=lambda one: uniform(seed, "input", query.id, one.id))
    return list(documents)
