"""The application: a reranker's endpoints, behind the gate that every request passes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import Depends, FastAPI
from fastapi.security import HTTPBearer

from rankprompt.api.reranker import Reranker
from rankprompt.api.results import Usage
from rankprompt.service import rerank_endpoints, score_endpoint, status_endpoints
from rankprompt.service.error_handlers import handle_errors
from rankprompt.service.gate import Gate, Queue
from rankprompt.service.logs import log_failure, log_request, log_usage
from rankprompt.service.metrics import Metrics
from rankprompt.service.page import page_router
from rankprompt.service.record import RequestRecord
from rankprompt.service.settings import ServiceSettings
from rankprompt.service.state import ServiceState
from rankprompt.service.variants import Variants
from rankprompt.version import VERSION

__all__ = ["make_app"]

_QUEUED = frozenset({"/v1/rerank", "/v2/rerank", "/rerank", "/score", "/v1/score"})
_OTHER = frozenset({"/", "/health", "/ready", "/info", "/v1/models", "/metrics", "/openapi.json"})


def make_app(reranker: Reranker, settings: ServiceSettings | None = None) -> FastAPI:
    """The application that ranks by a reranker.

    It loads the model when it starts, and answers meanwhile that it is not ready. Closing the
    reranker is left to the caller. ``app.state.service`` is its ``ServiceState``, and
    ``app.state.queue`` its ``Queue``.

    Args:
        reranker: ranks all requests, which share the model's batches.
        settings: the limits; by default those of ``ServiceSettings``, without keys.
    """
    settings = settings or ServiceSettings()
    state = ServiceState(reranker, settings, Variants(reranker, settings))
    queue = Queue(settings.max_queue)
    metrics = Metrics(lambda: queue.length, lambda: reranker.batches)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        loading = asyncio.create_task(state.load())
        yield
        state.stopping = True
        loading.cancel()
        with suppress(asyncio.CancelledError):
            await loading

    def finished(record: RequestRecord) -> None:
        metrics.note(record)
        log_request(record)

    def late(record: RequestRecord, usage: Usage) -> None:
        metrics.add_usage(usage)
        log_usage(record, usage)

    app = FastAPI(
        title="rankprompt",
        version=VERSION,
        description="Ranks documents for a query, by the protocols of several rerankers' clients.",
        lifespan=lifespan,
        docs_url=None,  # FastAPI's pages load scripts from other hosts
        redoc_url=None,
        redirect_slashes=False,  # to a path that has another form of errors
    )
    app.state.service, app.state.metrics, app.state.queue = state, metrics, queue
    key = [Depends(HTTPBearer(auto_error=False))] if settings.keys else []
    for module in (rerank_endpoints, score_endpoint, status_endpoints):
        app.include_router(module.router, dependencies=key)
    app.include_router(status_endpoints.probes)
    app.include_router(page_router())
    app.add_middleware(
        Gate, settings, queue, _QUEUED, _QUEUED | _OTHER, finished, late, log_failure
    )
    handle_errors(app)
    return app
