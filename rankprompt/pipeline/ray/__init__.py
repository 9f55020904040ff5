"""Models on a Ray cluster: workers answer, and stream results back to one driver.

Each worker is an actor that holds one model. For a reranking, candidates and the job travel to it,
rankings and counts travel back, and every model batch is committed to the driver's journal before
the worker goes on. So a worker that dies loses its current batch and no more: another worker takes
its place, its queries are asked again, and the journal has everything that it had asked before. For
an evolution, batches of prompts travel to it and answers travel back, which the driver commits.
"""

from rankprompt.pipeline.ray.cluster import RayCluster
from rankprompt.pipeline.ray.execution import RayExecution, cluster_of
from rankprompt.pipeline.ray.model import RayModel
from rankprompt.pipeline.ray.worker import Finished, WorkerConfig
from rankprompt.pipeline.ray.workers import Workers

__all__ = [
    "Finished", "RayCluster", "RayExecution", "RayModel", "WorkerConfig", "Workers", "cluster_of",
]  # fmt: skip
