"""Reranks the candidates of many queries with a ranking algorithm and a judge."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from rankprompt.errors import InputError
from rankprompt.rankers.answer_scores import Scored, score_answers
from rankprompt.rankers.base import Ranker
from rankprompt.rankers.coroutines import QuestionGenerator, adjust_answers, map_questions, merge
from rankprompt.rankers.driver import drive, drive_async, gather_or_cancel
from rankprompt.rankers.scores import DocumentScore, Probability
from rankprompt.rankers.seeded_random import uniform
from rankprompt.types import (
    Candidates,
    Document,
    Judgment,
    PairwiseQuestion,
    Question,
    QuestionKind,
)

__all__ = [
    "INPUT_ORDERS",
    "Adjust",
    "Reranked",
    "as_run",
    "insert_reranked",
    "rerank",
    "rerank_concurrently",
]

INPUT_ORDERS = ("given", "inverse", "random")

Round: TypeAlias = Sequence[Any]
"""Questions of the ranker's kind, or the answers to them."""
Judge: TypeAlias = Callable[[Round], Round]
AsyncJudge: TypeAlias = Callable[[Round], Awaitable[Round]]
Adjust: TypeAlias = Callable[[Round, Round], Round]


class Reranked(NamedTuple):
    """The result of a reranking.

    Attributes:
        rankings: by query id, its document ids, best first.
        rounds: the number of sequential rounds that the judge answered, whatever the number of
            queries in a round.
        scores: by query id and document id, best first; what they mean depends on the questions
            (``rankprompt.rankers.scores.Meaning``).
    """

    rankings: dict[str, list[str]]
    rounds: int
    scores: dict[str, dict[str, DocumentScore]]


def rerank(
    candidates: Sequence[Candidates],
    judge: Judge,
    ranker: Ranker,
    *,
    question: QuestionKind = PairwiseQuestion,
    adjust: Adjust | None = None,
    input_order: str = "given",
    seed: int = 0,
    probability: Probability | None = None,
    on_round: Callable[[int], None] = lambda _: None,
) -> Reranked:
    """Reranks the candidates of all queries in lock-step, so that their rounds fill batches.

    Args:
        candidates: queries with their documents, best first.
        judge: answers a round of the ranker's kind of question, in the same order.
        ranker: a ranker from ``rankprompt.rankers`` with its settings bound.
        question: the kind of question that the ranker asks (``Method.question``).
        adjust: takes a round of questions and the judge's answers; returns the answers that the
            ranker receives, such as ``FirstStagePrior.adjust``. None leaves them as they are.
        input_order: the order in which the ranker receives the documents: "given", "inverse" or
            "random" (by the seed). It shows how much a method relies on a good first stage.
        seed: the seed of the random input order.
        probability: as in ``score_answers``: gives a document's score by the judge's own number.
        on_round: called before each round with its number of questions.

    Returns:
        Rankings in the order of ``candidates``, each a permutation of its documents.

    Raises:
        InputError: the input order is unknown, or two candidates have the same query id.

    Examples:
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

    def ask(questions: Sequence[Question]) -> Round:
        nonlocal rounds
        rounds += 1
        on_round(len(questions))
        return judge(questions)

    generators = [
        _generate(query, ranker, question, adjust, input_order, seed, probability)
        for query in candidates
    ]
    return _reranked(candidates, drive(merge(generators), ask), rounds)


async def rerank_concurrently(
    candidates: Sequence[Candidates],
    judge: AsyncJudge,
    ranker: Ranker,
    *,
    question: QuestionKind = PairwiseQuestion,
    adjust: Adjust | None = None,
    input_order: str = "given",
    seed: int = 0,
    probability: Probability | None = None,
    concurrency: int = 64,
) -> Reranked:
    """Reranks as ``rerank`` does, but queries run independently: no query waits for another.

    Args:
        candidates: as in ``rerank``.
        judge: as in ``rerank``, but a coroutine function.
        ranker: as in ``rerank``.
        question: as in ``rerank``.
        adjust: as in ``rerank``.
        input_order: as in ``rerank``.
        seed: as in ``rerank``.
        probability: as in ``rerank``.
        concurrency: the most queries that are ranked at a time.

    Returns:
        As ``rerank``; ``rounds`` is the number of rounds of the query with the most.

    Raises:
        InputError: as ``rerank``.
    """
    _check(candidates, input_order)
    limit = asyncio.Semaphore(concurrency)
    rounds = [0] * len(candidates)

    async def rank(index: int) -> Scored:
        async def ask(questions: Sequence[Question]) -> Round:
            rounds[index] += 1
            return await judge(questions)

        async with limit:
            generator = _generate(
                candidates[index], ranker, question, adjust, input_order, seed, probability
            )
            return await drive_async(generator, ask)

    ranked = await gather_or_cancel(rank(index) for index in range(len(candidates)))
    return _reranked(candidates, ranked, max(rounds, default=0))


def as_run(rankings: Mapping[str, Sequence[str]]) -> dict[str, dict[str, float]]:
    """Turns rankings into a run, which ``score`` and ``write_run`` take; a score is minus the rank.

    Args:
        rankings: by query id, its document ids, best first.

    Returns:
        Scores by query id and document id: 0 for the best document, then -1, -2, and so on.
    """
    return {
        query_id: {document_id: float(-rank) for rank, document_id in enumerate(ranking)}
        for query_id, ranking in rankings.items()
    }


def insert_reranked(first_stage: Sequence[str], reranked: Sequence[str]) -> list[str]:
    """Inserts reranked documents into the first stage's ranking.

    The reranked documents share the positions that they had in the first stage. Every other
    document (below the depth, or without text) keeps its position.
    """
    best_first, moved = iter(reranked), set(reranked)
    return [
        next(best_first) if document_id in moved else document_id for document_id in first_stage
    ]


def _check(candidates: Sequence[Candidates], input_order: str) -> None:
    if input_order not in INPUT_ORDERS:
        raise InputError(f"`input_order` must be {', '.join(INPUT_ORDERS)}, not {input_order!r}")
    if len({query.query.id for query in candidates}) < len(candidates):
        raise InputError("two candidates have the same query id")


def _generate(
    candidates: Candidates,
    ranker: Ranker,
    kind: QuestionKind,
    adjust: Adjust | None,
    input_order: str,
    seed: int,
    probability: Probability | None,
) -> QuestionGenerator[Question, Judgment, Scored]:
    documents = _arrange(candidates, input_order, seed)
    # The scores are made of what the ranker receives, so that they agree with its ranking.
    generator: QuestionGenerator[Question, Judgment, Scored] = map_questions(
        score_answers(ranker(documents), kind, probability), partial(kind.of, candidates.query)
    )
    return adjust_answers(generator, adjust) if adjust else generator


def _reranked(candidates: Sequence[Candidates], ranked: Sequence[Scored], rounds: int) -> Reranked:
    rankings, scores = {}, {}
    for (query, _, _), scored in zip(candidates, ranked, strict=True):
        rankings[query.id] = [document.id for document in scored.ranking]
        scores[query.id] = scored.scores
    return Reranked(rankings, rounds, scores)


def _arrange(candidates: Candidates, order: str, seed: int) -> list[Document]:
    query, documents, _ = candidates
    if order == "inverse":
        return list(reversed(documents))
    if order == "random":
        return sorted(documents, key=lambda document: uniform(seed, "input", query.id, document.id))
    return list(documents)
