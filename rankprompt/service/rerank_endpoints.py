"""The endpoints that rank documents, by the protocols of their clients."""

from typing import Any

from fastapi import APIRouter, Request

from rankprompt.service.errors import RequestError
from rankprompt.service.examples import (
    COHERE_EXAMPLES,
    ERRORS,
    RERANK_EXAMPLES,
    TEI_ERRORS,
    TEI_EXAMPLES,
)
from rankprompt.service.ranking import asked, cost_of, rank, state_of
from rankprompt.service.schemas import (
    BilledUnits,
    CohereAnswer,
    CohereRequest,
    CohereResult,
    Document,
    Meta,
    RerankAnswer,
    RerankRequest,
    Result,
    TeiRank,
    TeiRequest,
)

__all__ = ["router"]

router = APIRouter(tags=["rerank"])

_DOCUMENTS_PER_UNIT = 100  # of Cohere's search units


@router.post(
    "/v1/rerank",
    response_model_exclude_none=True,
    responses=ERRORS,
    openapi_extra=RERANK_EXAMPLES,
)
async def rerank_v1(request: Request, body: RerankRequest) -> RerankAnswer:
    """Rank documents, in the form of Jina, vLLM and LiteLLM."""
    ranking = await rank(request, body.query, body.documents, body, body.top_n)
    return RerankAnswer(
        id=request.state.record.id,
        model=state_of(request).model,
        results=[
            Result(
                index=one.index,
                relevance_score=one.score,
                document=_shown(body.documents[one.index]) if body.return_documents else None,
            )
            for one in ranking
        ],
        usage=cost_of(ranking.usage),
        meaning=ranking.meaning,
        explanation=asked(ranking),
    )


def _shown(document: str | Document) -> dict[str, Any]:
    if isinstance(document, str):
        return {"text": document}
    return document.model_dump(exclude_unset=True)


@router.post(
    "/v2/rerank",
    response_model_exclude_none=True,
    responses=ERRORS,
    openapi_extra=COHERE_EXAMPLES,
)
async def rerank_v2(request: Request, body: CohereRequest) -> CohereAnswer:
    """Rank documents, in the form of Cohere's version 2."""
    ranking = await rank(request, body.query, body.documents, body, body.top_n)
    units = -(-len(body.documents) // _DOCUMENTS_PER_UNIT)
    return CohereAnswer(
        id=request.state.record.id,
        results=[CohereResult(index=one.index, relevance_score=one.score) for one in ranking],
        meta=Meta(billed_units=BilledUnits(search_units=units)),
        usage=cost_of(ranking.usage),
        meaning=ranking.meaning,
        explanation=asked(ranking),
    )


@router.post(
    "/rerank",
    response_model_exclude_none=True,
    responses=TEI_ERRORS,
    openapi_extra=TEI_EXAMPLES,
)
async def rerank_tei(request: Request, body: TeiRequest) -> list[TeiRank]:
    """Rank texts, in the form of Text Embeddings Inference."""
    ranking = await rank(request, body.query, body.texts, body)
    if body.raw_scores:
        unjudged = [str(one.index) for one in ranking if one.value is None]
        if unjudged:
            raise RequestError(
                422,
                f"raw_scores: the model gave no number for {len(unjudged):,} of the texts, the "
                f"first of them at index {unjudged[0]}; leave raw_scores out",
            )
    return [
        TeiRank(
            index=one.index,
            score=one.value if body.raw_scores and one.value is not None else one.score,
            text=body.texts[one.index] if body.return_text else None,
        )
        for one in ranking
    ]
