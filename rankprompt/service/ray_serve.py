"""Several workers behind the service: a deployment of Ray Serve whose replicas hold a model each.

The application stays in the process that was started, with its queue, keys, metrics and log; what
it ranks is sent to the workers. Ray Serve's own HTTP proxy is left out: it would answer 500 to
requests whose worker dies, and 404 to those that arrive while it ends.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

from fastapi import FastAPI
from prometheus_client import Counter

from rankprompt.api.documents import DocumentLike
from rankprompt.api.reranker import Reranker
from rankprompt.api.results import Ranking, Usage
from rankprompt.errors import PIP_LINES, InputError, ModelError, RankpromptError
from rankprompt.pipeline.config import RayConfig, RerankConfig
from rankprompt.pipeline.ray.cluster import RayCluster, connected, last_line, waiting
from rankprompt.service.ray_worker import Answer, Worker
from rankprompt.service.settings import ServiceSettings

__all__ = ["RayReranker", "reranker_on_ray"]

log = logging.getLogger("rankprompt")

_DEATHS = 3  # after so many workers have died over a request, the request is taken for the cause
_UNLOADED = 40  # answers of workers without a model, after which a request fails
_PULSE = 0.5  # seconds between two looks at workers that start
_PATIENCE = 30.0  # seconds without a worker, after which the log says what is waited for
_DEPLOYMENT = "workers"


class _Workers:
    """The deployment, as the process sees it that started it."""

    def __init__(
        self, ray: Any, serve: Any, deployment: Any, resources: Mapping[str, float]
    ) -> None:
        self._ray, self._serve, self._deployment = ray, serve, deployment
        self._resources = resources
        self._name = f"rankprompt-{uuid4().hex[:8]}"
        self._handle: Any = None
        # Of the errors of Ray Serve, the others are not those of a single worker.
        unavailable = getattr(serve.exceptions, "ReplicaUnavailableError", ray.exceptions.RayError)
        self._deadly = (ray.exceptions.RayError, unavailable)
        self._ended = threading.Event()
        self._batches: dict[str, tuple[int, int]] = {}
        self.answers = Counter(
            "rankprompt_worker_requests", "Requests by worker.", ["worker"], registry=None
        )

    @property
    def batches(self) -> tuple[int, int]:
        """The batches that all workers have answered, and the prompts in them."""
        batches, prompts = zip(*self._batches.values(), strict=True) if self._batches else ((), ())
        return sum(batches), sum(prompts)

    def start(self) -> None:
        """Starts the workers, and waits until one is ready or ``end`` is called."""
        self._shared = bool(self._serve.status().applications)
        try:
            self._serve.start(proxy_location="Disabled")
            target = self._serve.RunTarget(self._deployment, self._name, route_prefix=None)
            [self._handle] = self._serve.run_many([target], wait_for_applications_running=False)
            self._wait()
            if not self._ended.is_set() and (failure := self._handle.failure.remote().result()):
                raise failure
        except (self._ray.exceptions.RayError, RuntimeError) as error:
            raise ModelError(f"the workers do not start: {last_line(error)}") from error

    def _wait(self) -> None:
        start, warned = time.monotonic(), False
        while not self._ended.wait(_PULSE):
            application = self._serve.status().applications.get(self._name)
            if application is None:
                continue
            states = application.deployments.get(_DEPLOYMENT)
            if states and states.replica_states.get("RUNNING"):
                return
            if application.status == "DEPLOY_FAILED":
                raise RuntimeError(application.message)
            if not warned and time.monotonic() - start > _PATIENCE:
                warned = True
                log.warning("%s", waiting(self._ray, self._resources))

    async def ask(self, spent: Callable[[Usage], None] | None, *given: Any) -> list[Ranking]:
        """Sends a request to a worker; where that one dies, to another."""
        deaths = unloaded = 0
        while deaths < _DEATHS:
            response = self._handle.rank.remote(*given)
            try:
                answer: Answer = await response
            except asyncio.CancelledError:
                response.cancel()
                raise
            except self._ray.exceptions.RayTaskError:
                raise  # an error that is not ours, hence a broken system
            except self._deadly:
                log.warning("a worker died; another answers in its place")
                deaths += 1
                await asyncio.sleep(_PULSE)
                continue
            except self._serve.exceptions.RayServeException as error:
                raise ModelError(f"the workers take no requests: {last_line(error)}") from error
            if not answer.loaded and unloaded < _UNLOADED:
                # It answers at once, so that it seems the least busy until Ray Serve replaces it.
                if not unloaded:
                    log.warning("a worker cannot load the model: %s", answer.outcome)
                unloaded += 1
                await asyncio.sleep(_PULSE)
                continue
            self.answers.labels(answer.worker).inc()
            self._batches[answer.worker] = answer.batches
            if spent:
                spent(answer.usage)
            if isinstance(answer.outcome, RankpromptError):
                raise answer.outcome
            return answer.outcome
        raise ModelError(
            f"{_DEATHS} workers died over this request, one after the other, often for want of "
            "memory: try fewer `workers` or a smaller `batch_tokens`"
        )

    def end(self) -> None:
        """Lets ``start`` end at once."""
        self._ended.set()

    def close(self) -> None:
        """Ends the workers, and Ray Serve where it was started for them alone."""
        self._ended.set()
        if self._handle is not None:
            self._serve.delete(self._name)
            if not self._shared and not self._serve.status().applications:
                self._serve.shutdown()


class RayReranker(Reranker):
    """A reranker whose calls are answered by workers on a Ray cluster.

    Attributes:
        workers: the workers.
    """

    workers: _Workers
    _options: tuple[tuple[str, Any], ...] = ()

    @property
    def batches(self) -> tuple[int, int]:
        """As those of ``Reranker``, of all workers together."""
        return self.workers.batches

    def with_options(self, **options: Any) -> Self:
        """As that of ``Reranker``."""
        reranker = super().with_options(**options)
        reranker.workers = self.workers
        reranker._options = (*self._options, *options.items())
        return reranker

    def rank_many(
        self, queries: Sequence[str], documents: Sequence[Sequence[DocumentLike]], **more: Any
    ) -> list[Ranking]:
        """As that of ``Reranker``."""
        return asyncio.run(self.arank_many(queries, documents, **more))

    async def arank_many(
        self,
        queries: Sequence[str],
        documents: Sequence[Sequence[DocumentLike]],
        *,
        spent: Callable[[Usage], None] | None = None,
        **more: Any,
    ) -> list[Ranking]:
        """As that of ``Reranker``; what a call cost that was cancelled stays unknown."""
        return await self.workers.ask(spent, self._options, queries, documents, more)

    def warm_up(self) -> None:
        """Starts the workers, which load the model."""
        self.workers.start()

    def prepare(self, app: FastAPI) -> None:
        """Shows the workers among an application's metrics, and ends their start with it."""
        app.state.metrics.add(self.workers.answers)
        app.state.service.when_stopping.append(self.workers.end)


@contextmanager
def reranker_on_ray(config: RerankConfig, settings: ServiceSettings) -> Iterator[RayReranker]:
    """A reranker whose workers run on the cluster of a configuration, until the context ends.

    Args:
        config: names the cluster.
        settings: how many requests and variants there may be.

    Raises:
        ModelError: Ray Serve is not installed; gives the pip line.
        InputError: the configuration does not go with a cluster, or none is at its address.
    """
    serve = _import_serve()
    address = config.ray.address or "local"
    cluster = RayCluster(address, config.ray.workers, gpus_per_worker=config.ray.gpus_per_worker)
    if config.output.journal and address != "local":
        raise InputError("`journal`: goes with `ray` local; other machines have other files")
    with RayReranker.from_config(replace(config, ray=RayConfig())) as reranker:
        if any(job.source != "local" for job in reranker.job.single_jobs):
            raise InputError("`ray` goes with a model that each worker loads")
        with connected(cluster) as ray:
            resources, device = cluster.reserve(ray, config.model)
            sent = replace(config, ray=RayConfig(), model=replace(config.model, device=device))
            deployment = serve.deployment(Worker).options(
                name=_DEPLOYMENT,
                num_replicas=cluster.workers,
                ray_actor_options=resources,
                max_ongoing_requests=settings.max_queue,
                health_check_period_s=2,
                # When the workers are told to end, they have nothing to do any more.
                graceful_shutdown_wait_loop_s=0.1,
                graceful_shutdown_timeout_s=5,
            )
            target = deployment.bind(sent, str(Path.cwd()), settings.variants)
            reranker.workers = _Workers(ray, serve, target, resources)
            try:
                yield reranker
            finally:
                reranker.workers.close()


def _import_serve() -> Any:
    try:
        serve = import_module("ray.serve")
        import_module("ray.serve.exceptions")
    except ImportError as error:
        raise ModelError(
            f"several workers need Ray Serve; run: {PIP_LINES['ray-serve']}"
        ) from error
    logging.getLogger("ray.serve").setLevel(logging.ERROR)
    return serve
