"""The execution of a job on a Ray cluster."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

from rankprompt.pipeline.execution import Execution
from rankprompt.pipeline.ray.cluster import RayCluster
from rankprompt.pipeline.ray.worker import WorkerConfig
from rankprompt.pipeline.ray.workers import Workers
from rankprompt.pipeline.results import BlockResult
from rankprompt.types import Candidates

__all__ = ["RayExecution"]


class RayExecution(Execution):
    """Reranks on a Ray cluster."""

    def _open(self, stack: ExitStack) -> None:
        config, journal = self._job.config.ray, self._open_journal(stack)
        cluster = RayCluster(
            config.address or "local", config.workers, gpus_per_worker=config.gpus_per_worker
        )
        self._workers = stack.enter_context(Workers(WorkerConfig(self._job), journal, cluster))
        self.model, self.costs = self._workers.model, self._workers.costs

    def rerank(
        self, candidates: Sequence[Candidates], on_judged: Callable[[int], None]
    ) -> Iterator[BlockResult]:
        """Reranks candidates, and gives the results of a few queries at a time, in any order."""
        for finished in self._workers.rerank(candidates, on_judged):
            self.workers_replaced = self._workers.replaced
            self.guard.merge(finished.answers, finished.refused, finished.scores)
            yield finished.result
