"""The endpoints that score pairs of texts, in the form of vLLM."""

import time

from fastapi import APIRouter, Request

from rankprompt.errors import InputError
from rankprompt.pipeline.job import RerankJob
from rankprompt.service.examples import ERRORS, SCORE_EXAMPLES
from rankprompt.service.ranking import cost_of, state_of
from rankprompt.service.record import RequestRecord
from rankprompt.service.schemas import Score, ScoreAnswer, ScoreRequest
from rankprompt.types import PointwiseQuestion

__all__ = ["router"]

router = APIRouter(tags=["score"])


@router.post("/score", responses=ERRORS, openapi_extra=SCORE_EXAMPLES)
@router.post("/v1/score", responses=ERRORS, openapi_extra=SCORE_EXAMPLES)
async def score(request: Request, body: ScoreRequest) -> ScoreAnswer:
    """Score pairs of texts, where the server's method looks at one document at a time."""
    state = state_of(request)
    record: RequestRecord = request.state.record
    queries, documents = _pairs(body)
    record.documents = len(documents)
    state.check_loaded()
    reranker = state.variants.get(None, len(documents))
    if not _is_pointwise(reranker.job):
        method = reranker.config.ranker.method
        raise InputError(
            f"this server ranks by {method}, whose scores depend on all documents of a request; "
            "use /v1/rerank, or serve a pointwise method"
        )
    # Each pair is a ranking of its own: in one ranking, equal scores would be told apart.
    rankings = await reranker.arank_many(
        queries, [[one] for one in documents], threshold=0, spent=record.spend
    )
    usage = rankings[0].usage
    if usage.unasked:
        raise InputError(
            f"the server's budget is spent: {usage.unasked:,} of the pairs were not asked about; "
            "send fewer"
        )
    return ScoreAnswer(
        id=record.id,
        created=int(time.time()),
        model=state.model,
        data=[Score(index=index, score=pair[0].score) for index, pair in enumerate(rankings)],
        usage=cost_of(usage),
    )


def _pairs(body: ScoreRequest) -> tuple[list[str], list[str]]:
    queries = body.queries if body.queries is not None else body.text_1
    documents = body.documents if body.documents is not None else body.text_2
    if queries is None or documents is None:
        raise InputError("give queries and documents, or text_1 and text_2")
    queries = [queries] if isinstance(queries, str) else queries
    documents = [documents] if isinstance(documents, str) else documents
    if len(queries) not in (1, len(documents)):
        raise InputError(
            f"{len(queries):,} queries and {len(documents):,} documents make no pairs; give one "
            "query, or as many queries as documents"
        )
    return (queries * len(documents) if len(queries) == 1 else queries), documents


def _is_pointwise(job: RerankJob) -> bool:
    return all(
        one.source != "teacher" and one.question is PointwiseQuestion for one in job.single_jobs
    )
