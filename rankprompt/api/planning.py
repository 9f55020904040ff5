"""Prices a reranking of texts that are in memory."""

from collections.abc import Sequence

from rankprompt.api.rankings import Task
from rankprompt.errors import InputError
from rankprompt.eval import ndcg_at_10
from rankprompt.pipeline.job import RerankJob
from rankprompt.pipeline.staged_execution import first_of
from rankprompt.planning.config import Plan, PlanConfig
from rankprompt.planning.plan import plan_inputs
from rankprompt.planning.preparation import inputs_of
from rankprompt.types import Qrels, Run

__all__ = ["plan_tasks"]


def plan_tasks(job: RerankJob, tasks: Sequence[Task], calibrate: bool, seeds: int) -> Plan:
    """Prices every method on the documents of some queries, as ``Reranker.plan`` says.

    Raises:
        InputError: no query has a document with a text, or ``seeds`` is below 1.
    """
    depth = job.config.data.depth
    candidates = [first_of(task.candidates, depth) for task in tasks if task.candidates]
    if not candidates:
        raise InputError("no query has a document with a text; there is nothing to plan")
    config = PlanConfig(job.config, calibrate=calibrate, seeds=seeds)
    inputs = inputs_of(job, config, _measure, candidates)
    return plan_inputs(job, config, inputs, _measure)


def _measure(run: Run, qrels: Qrels) -> float:
    return ndcg_at_10(qrels)(run)
