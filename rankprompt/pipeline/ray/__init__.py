"""Reranking on a Ray cluster: workers rerank queries and stream results back to one driver.

Each worker is an actor that holds one model. Candidates and the job travel to it, rankings and
counts travel back, and every model batch is committed to the driver's journal before the worker
goes on. So a worker that dies loses its current batch and no more: another worker takes its place,
its queries are asked again, and the journal has everything that it had asked before.
"""

from rankprompt.pipeline.ray.cluster import RayCluster
from rankprompt.pipeline.ray.execution import RayExecution
from rankprompt.pipeline.ray.worker import Finished, WorkerConfig
from rankprompt.pipeline.ray.workers import Workers

__all__ = ["Finished", "RayCluster", "RayExecution", "WorkerConfig", "Workers"]
