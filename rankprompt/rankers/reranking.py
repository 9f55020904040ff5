"""Reranks candidates: one flow a query, all of them together, before one judge."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from rankprompt.errors import InputError
from rankprompt.rankers import Ranker
from rankprompt.rankers.coroutines import Flow, about, all_or_none, arun, run, together
from rankprompt.rankers.seeded_random import uniform
from rankprompt.types import Candidates, Comparison, Document, Question

__all__ = ["INPUT_ORDERS", "Reranked", "arerank", "as_run", "merge", "rerank"]

INPUT_ORDERS = ("given", "inverse", "random")

_Judge: TypeAlias = Callable[[Sequence[Any]], Sequence[Any]]
_AsyncJudge: TypeAlias = Callable[[Sequence[Any]], Awaitable[Sequence[Any]]]


class Reranked(NamedTuple):
    """What ``rerank`` returns.

    ``rankings`` holds document ids, best first, by query id; ``rounds`` is how many times a judge
    was asked, one after the other, whatever the number of queries in a round.
    """

    rankings: dict[str, list[str]]
    rounds: int


def as_run(rankings: Mapping[str, Sequence[str]]) -> dict[str, dict[str, float]]:
    """Makes rankings a run, as ``score`` and ``write_run`` take it: a score is minus the rank.

    Args:
        rankings: document ids, best first, by query id.

    Returns:
        Scores by query id and document id: 0 for the best, then -1, -2, and so on.
    """
    return {
        query: {name: float(-rank) for rank, name in enumerate(names)}
        for query, names in rankings.items()
    }


def rerank(
    candidates: Sequence[Candidates],
    judge: _Judge,
    ranker: Ranker,
    *,
    question: type[Question] = Comparison,
    input_order: str = "given",
    seed: int = 0,
    on_round: Callable[[int], None] = lambda _: None,
) -> Reranked:
    """Reranks the candidates of each query.

    Args:
        candidates: a query and its documents, best first.
        judge: answers the ranker's kind of question, such as which of two documents is the more
            relevant.
        ranker: from ``rankprompt.rankers``, its settings bound.
        question: the kind that the ranker asks (``Method.question``).
        input_order: how the ranker meets the documents: "given", "inverse" or "random" (by the
            seed). Sorts that stop early lean on a good input order; this shows how much.
        seed: of the random input order.
        on_round: called before each round with its number of questions.

    Returns:
        Rankings in the order of ``candidates``, each a permutation of its documents.

    Raises:
        InputError: no such input order, or a query id that stands twice.
    """
    _check(candidates, input_order)
    rounds = 0

    def ask(questions: Sequence[Question]) -> Sequence[Any]:
        nonlocal rounds
        rounds += 1
        on_round(len(questions))
        return judge(questions)

    flows = [_flow(one, ranker, question, input_order, seed) for one in candidates]
    ranked = run(together(flows), ask)
    return Reranked(_rankings(candidates, ranked), rounds)


async def arerank(
    candidates: Sequence[Candidates],
    judge: _AsyncJudge,
    ranker: Ranker,
    *,
    question: type[Question] = Comparison,
    input_order: str = "given",
    seed: int = 0,
    queries: int = 64,
) -> Reranked:
    """Reranks as ``rerank`` does, each query at its own pace: a slow one holds nobody up.

    Args:
        candidates: a query and its documents, best first.
        judge: as in ``rerank``, but others need not wait for it.
        ranker: from ``rankprompt.rankers``, its settings bound.
        question: as in ``rerank``.
        input_order: as in ``rerank``.
        seed: as in ``rerank``.
        queries: how many are under way at a time, at the most.

    Returns:
        As ``rerank``; ``rounds`` are those of the query that had the most.

    Raises:
        InputError: as ``rerank``.
    """
    _check(candidates, input_order)
    room = asyncio.Semaphore(queries)
    rounds = [0] * len(candidates)

    async def one_query(place: int) -> list[Document]:
        async def ask(questions: Sequence[Question]) -> Sequence[Any]:
            rounds[place] += 1
            return await judge(questions)

        async with room:
            flow = _flow(candidates[place], ranker, question, input_order, seed)
            return await arun(flow, ask)

    ranked = await all_or_none(one_query(place) for place in range(len(candidates)))
    return Reranked(_rankings(candidates, ranked), max(rounds, default=0))


def merge(first_stage: Sequence[str], reranked: Sequence[str]) -> list[str]:
    """Puts a reranked part back into its first stage's ranking.

    The reranked documents share out among themselves the places that they had; every other
    document (below the depth, or without text) keeps its own.
    """
    part, moved = iter(reranked), set(reranked)
    return [next(part) if name in moved else name for name in first_stage]


def _check(candidates: Sequence[Candidates], input_order: str) -> None:
    if input_order not in INPUT_ORDERS:
        raise InputError(f"input order must be {', '.join(INPUT_ORDERS)}, not {input_order!r}")
    if len({one.query.id for one in candidates}) < len(candidates):
        raise InputError("a query id stands twice among the candidates")


def _flow(
    candidates: Candidates, ranker: Ranker, kind: type[Question], input_order: str, seed: int
) -> Flow[Question, Any, list[Document]]:
    items = _arrange(candidates, input_order, seed)
    return about(ranker(items), partial(kind.of, candidates.query))


def _rankings(
    candidates: Sequence[Candidates], ranked: Sequence[Sequence[Document]]
) -> dict[str, list[str]]:
    return {
        one.query.id: [document.id for document in documents]
        for one, documents in zip(candidates, ranked, strict=True)
    }


def _arrange(candidates: Candidates, order: str, seed: int) -> list[Document]:
    query, documents, _ = candidates
    if order == "inverse":
        return list(reversed(documents))
    if order == "random":
        return sorted(documents, key=lambda one: uniform(seed, "input", query.id, one.id))
    return list(documents)
