"""The endpoints that tell about the server: alive, ready, its model, its metrics."""

import time
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from rankprompt.service.examples import UNAUTHORIZED, UNREADY
from rankprompt.service.ranking import state_of
from rankprompt.version import VERSION

__all__ = ["probes", "router"]

router = APIRouter(tags=["server"])
probes = APIRouter(tags=["server"])
"""Those that ask for no key."""

_STARTED = int(time.time())


@probes.head("/health", include_in_schema=False)
@probes.get("/health")
async def health() -> dict[str, str]:
    """Whether the process is alive."""
    return {"status": "ok"}


@probes.head("/ready", include_in_schema=False)
@probes.get("/ready", responses=UNREADY)
async def ready(request: Request) -> dict[str, str]:
    """Whether the model is loaded and takes requests; 503 where not."""
    state = state_of(request)
    state.check_ready()
    return {"status": "ready", "model": state.model}


@router.get("/v1/models", responses=UNAUTHORIZED)
async def models(request: Request) -> dict[str, Any]:
    """The model of this server, in the form of OpenAI."""
    name = state_of(request).model
    model = {"id": name, "object": "model", "created": _STARTED, "owned_by": "rankprompt"}
    return {"object": "list", "data": [model]}


@router.get("/info", responses=UNAUTHORIZED)
async def info(request: Request) -> dict[str, Any]:
    """The model of this server and its limits, in the form of Text Embeddings Inference."""
    state = state_of(request)
    label = "LABEL_0"
    return {
        "model_id": state.model,
        "model_sha": None,
        "model_dtype": state.reranker.config.model.dtype,
        "model_type": {"reranker": {"id2label": {"0": label}, "label2id": {label: 0}}},
        "max_concurrent_requests": state.settings.max_queue,
        "max_client_batch_size": state.settings.max_documents,
        "method": state.reranker.config.ranker.method,
        "version": VERSION,
    }


@router.get("/metrics", response_class=Response, responses=UNAUTHORIZED)
async def metrics(request: Request) -> Response:
    """Counts and times, in the form of Prometheus."""
    return Response(*request.app.state.metrics.page())
