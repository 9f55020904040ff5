"""Ranks the documents of a request, and says what that cost."""

import math
from collections.abc import Collection, Sequence
from typing import Any

from starlette.requests import Request

from rankprompt.api.results import JudgedQuestion, Ranking, Usage
from rankprompt.service.record import RequestRecord
from rankprompt.service.schemas import AskedQuestion, Cost, Document, Options
from rankprompt.service.state import ServiceState

__all__ = ["asked", "cost_of", "rank", "state_of"]


def state_of(request: Request) -> ServiceState:
    """The state of the service that a request is sent to."""
    state: ServiceState = request.app.state.service
    return state


async def rank(
    request: Request,
    query: str,
    documents: Sequence[str | Document],
    options: Options,
    top_k: int | None = None,
) -> Ranking:
    """Ranks the documents of a request.

    Raises:
        RequestError: the server is not ready.
        RankpromptError: as ``Reranker.rank``.
    """
    state = state_of(request)
    record: RequestRecord = request.state.record
    record.documents = len(documents)
    state.check_loaded()
    reranker = state.variants.get(options, len(documents))
    fields = {*reranker.job.fields, "text"}
    given = [_given(document, fields) for document in documents]
    return await reranker.arank(
        query, given, top_k=top_k, threshold=options.threshold, explain=bool(options.explain),
        spent=record.spend,
    )  # fmt: skip


def _given(document: str | Document, fields: Collection[str]) -> str | dict[str, Any]:
    if isinstance(document, str):
        return document
    # Others, such as an id, which may be that of another, are for the client alone.
    return {name: value for name, value in document.model_dump().items() if name in fields}


def cost_of(usage: Usage) -> Cost:
    """What an answer cost, as clients read it."""
    return Cost(
        prompt_tokens=usage.tokens - usage.written_tokens,
        completion_tokens=usage.written_tokens,
        total_tokens=usage.tokens,
        questions=usage.questions,
        unasked=usage.unasked,
        prompts=usage.prompts,
        prompts_from_journal=usage.prompts_from_journal,
        seconds=round(usage.seconds, 6),
        cost=usage.cost,
    )


def asked(ranking: Ranking) -> list[AskedQuestion] | None:
    """The questions that were asked, where the request wants them."""
    if ranking.explanation is None:
        return None
    return [_asked(question) for question in ranking.explanation]


def _asked(question: JudgedQuestion) -> AskedQuestion:
    answer: Any = question.answer
    if isinstance(answer, tuple):
        answer = [float(value) for value in answer]
    elif answer is not None:
        answer = float(answer)
    if not all(map(math.isfinite, answer if isinstance(answer, list) else [answer or 0])):
        answer = None  # JSON has no such number
    return AskedQuestion(
        kind=question.kind,  # type: ignore[arg-type]
        indices=list(question.indices),
        answer=answer,
        answered=question.answered,
        stage=question.stage,
    )
