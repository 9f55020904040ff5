"""Reranks the candidates of many queries before one judge, with one ranking algorithm."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from rankprompt.errors import InputError
from rankprompt.rankers.base import Ranker
from rankprompt.rankers.coroutines import QuestionGenerator, adjust_answers, map_questions, merge
from rankprompt.rankers.driver import drive, drive_async, gather_or_cancel
from rankprompt.rankers.seeded_random import uniform
from rankprompt.types import Candidates, Document, PairwiseQuestion, Question, QuestionKind

__all__ = [
    "INPUT_ORDERS",
    "Reranked",
    "as_run",
    "insert_reranked",
    "rerank",
    "rerank_concurrently",
]

INPUT_ORDERS = ("given", "inverse", "random")

Judge: TypeAlias = Callable[[Sequence[Any]], Sequence[Any]]
AsyncJudge: TypeAlias = Callable[[Sequence[Any]], Awaitable[Sequence[Any]]]
Adjust: TypeAlias = Callable[[Sequence[Any], Sequence[Any]], Sequence[Any]]


class Reranked(NamedTuple):
    """The result of a reranking.

    ``rankings`` holds document ids, best first, by query id. ``rounds`` is the number of times that
    the judge was asked sequentially, whatever the number of queries in a round.
    """

    rankings: dict[str, list[str]]
    rounds: int


def rerank(
    candidates: Sequence[Candidates],
    judge: Judge,
    ranker: Ranker,
    *,
    question: QuestionKind = PairwiseQuestion,
    adjust: Adjust | None = None,
    input_order: str = "given",
    seed: int = 0,
    on_round: Callable[[int], None] = lambda _: None,
) -> Reranked:
    """Reranks the candidates of all queries in lock-step, so that their rounds fill batches.

    Args:
        candidates: queries with their documents, best first.
        judge: answers a round of the ranker's kind of question, in the same order.
        ranker: from ``rankprompt.rankers``, its settings bound.
        question: the kind of question that the ranker asks (``Method.question``).
        adjust: takes a round of questions and the judge's answers, and gives the answers that the
            ranker receives, such as ``FirstStagePrior.adjust``; None to leave them as they are.
        input_order: the order in which the ranker receives the documents: "given", "inverse" or
            "random" (by the seed). Sorts that stop early rely on a good input order; this shows
            how much.
        seed: of the random input order.
        on_round: called before each round with its number of questions.

    Returns:
        Rankings in the order of ``candidates``, each a permutation of its documents.

    Raises:
        InputError: no such input order, or two candidates with the same query id.

    Example:
        >>> from functools import partial
        >>> from rankprompt import Candidates, Document, Query, rerank
        >>> from rankprompt.rankers import heapsort
        >>> documents = tuple(Document(text, text) for text in ("bb", "a", "ccc"))
        >>> longest = lambda questions: [float(len(q.first.text) > len(q.second.text))
        ...                              for q in questions]
        >>> candidates = [Candidates(Query("q", "longest?"), documents, (3.0, 2.0, 1.0))]
        >>> rerank(candidates, longest, partial(heapsort, k=3)).rankings
        {'q': ['ccc', 'bb', 'a']}
    """
    _check(candidates, input_order)
    rounds = 0

    def ask(questions: Sequence[Question]) -> Sequence[Any]:
        nonlocal rounds
        rounds += 1
        on_round(len(questions))
        return judge(questions)

    generators = [_generate(one, ranker, question, adjust, input_order, seed) for one in candidates]
    ranked = drive(merge(generators), ask)
    return Reranked(_rankings(candidates, ranked), rounds)


async def rerank_concurrently(
    candidates: Sequence[Candidates],
    judge: AsyncJudge,
    ranker: Ranker,
    *,
    question: QuestionKind = PairwiseQuestion,
    adjust: Adjust | None = None,
    input_order: str = "given",
    seed: int = 0,
    concurrency: int = 64,
) -> Reranked:
    """Reranks as ``rerank`` does, but queries run independently: none waits for another.

    Args:
        candidates: as in ``rerank``.
        judge: as in ``rerank``, but a coroutine function.
        ranker: as in ``rerank``.
        question: as in ``rerank``.
        adjust: as in ``rerank``.
        input_order: as in ``rerank``.
        seed: as in ``rerank``.
        concurrency: the most queries that are ranked at a time.

    Returns:
        As ``rerank``; ``rounds`` is that of the query with the most rounds.

    Raises:
        InputError: as ``rerank``.
    """
    _check(candidates, input_order)
    limit = asyncio.Semaphore(concurrency)
    rounds = [0] * len(candidates)

    async def rank(index: int) -> list[Document]:
        async def ask(questions: Sequence[Question]) -> Sequence[Any]:
            rounds[index] += 1
            return await judge(questions)

        async with limit:
            one = candidates[index]
            generator = _generate(one, ranker, question, adjust, input_order, seed)
            return await drive_async(generator, ask)

    ranked = await gather_or_cancel(rank(index) for index in range(len(candidates)))
    return Reranked(_rankings(candidates, ranked), max(rounds, default=0))


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


def insert_reranked(first_stage: Sequence[str], reranked: Sequence[str]) -> list[str]:
    """Inserts reranked documents into the first stage's ranking.

    The reranked documents share the positions that they had in the first stage. Every other
    document (below the depth, or without text) keeps its own position.
    """
    best, moved = iter(reranked), set(reranked)
    return [next(best) if name in moved else name for name in first_stage]


def _check(candidates: Sequence[Candidates], input_order: str) -> None:
    if input_order not in INPUT_ORDERS:
        raise InputError(f"input order must be {', '.join(INPUT_ORDERS)}, not {input_order!r}")
    if len({one.query.id for one in candidates}) < len(candidates):
        raise InputError("a query id stands twice among the candidates")


def _generate(
    candidates: Candidates,
    ranker: Ranker,
    kind: QuestionKind,
    adjust: Adjust | None,
    input_order: str,
    seed: int,
) -> QuestionGenerator[Question, Any, list[Document]]:
    documents = _arrange(candidates, input_order, seed)
    generator: QuestionGenerator[Question, Any, list[Document]] = map_questions(
        ranker(documents), partial(kind.of, candidates.query)
    )
    return adjust_answers(generator, adjust) if adjust else generator


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
