"""The execution of a job on a Ray cluster."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

from rankprompt.pipeline.config import RayConfig
from rankprompt.pipeline.execution import Execution
from rankprompt.pipeline.job import RerankJob
from rankprompt.pipeline.ray.cluster import RayCluster
from rankprompt.pipeline.ray.worker import WorkerConfig
from rankprompt.pipeline.ray.workers import Workers
from rankprompt.pipeline.results import BlockResult
from rankprompt.types import Candidates

__all__ = ["RayExecution", "cluster_of"]


class RayExecution(Execution):
    """Reranks on a Ray cluster.

    Args:
        job: the job.
        sharing: as many stages of a reranking use the cluster in turns.
    """

    def __init__(self, job: RerankJob, sharing: int = 1) -> None:
        super().__init__(job)
        self._cluster = cluster_of(job.config.ray, sharing)

    def _open(self, stack: ExitStack) -> None:
        journal = self._open_journal(stack)
        workers = Workers(WorkerConfig(self._job), journal, self._cluster)
        self._workers = stack.enter_context(workers)
        self.model, self.costs = workers.model, workers.costs

    def rerank(
        self, candidates: Sequence[Candidates], on_judged: Callable[[int], None]
    ) -> Iterator[BlockResult]:
        """Reranks candidates, and gives the results of a few queries at a time, in any order."""
        for finished in self._workers.rerank(candidates, on_judged):
            self.workers_replaced = self._workers.replaced
            self.guard.merge(finished.answers, finished.refused, finished.scores)
            yield finished.result


def cluster_of(config: RayConfig, sharing: int = 1) -> RayCluster:
    """The cluster of a configuration."""
    return RayCluster(
        config.address or "local",
        config.workers,
        gpus_per_worker=config.gpus_per_worker,
        together=config.together,
        sharing=sharing,
    )
