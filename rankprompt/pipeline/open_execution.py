"""Chooses the way to rerank a job's candidates."""

from rankprompt.cascade import Cascade
from rankprompt.pipeline.execution import (
    Execution,
    LocalExecution,
    OracleExecution,
    ServerExecution,
)
from rankprompt.pipeline.job import RerankJob
from rankprompt.pipeline.passages import open_cascade
from rankprompt.pipeline.stage_validation import name_stage
from rankprompt.pipeline.staged_execution import StagedExecution, StageExecution
from rankprompt.pipeline.teacher_execution import TeacherExecution
from rankprompt.types import Progress, no_progress

__all__ = ["open_execution"]


def open_execution(
    job: RerankJob, cascade: Cascade | None = None, progress: Progress = no_progress
) -> Execution:
    """Chooses the way to rerank a job's candidates; as a context, it loads the model.

    Args:
        job: a validated job.
        cascade: selects the windows that a teacher scores.
        progress: opens the progress bars of stages; other jobs have one bar for the whole run.

    Raises:
        ModelError: the model cannot be loaded (when the context is entered).
        JournalError: the journal cannot be opened (likewise).
    """
    if job.stages:
        return StagedExecution(job, _open_stages(job), progress)
    if job.source == "teacher":
        assert cascade is not None, "a teacher scores a cascade's windows"
        return TeacherExecution(job, cascade)
    if job.source == "oracle":
        return OracleExecution(job)
    if job.source == "server":
        return ServerExecution(job)
    if job.config.ray.address:
        from rankprompt.pipeline.ray import RayExecution

        return RayExecution(job)
    return LocalExecution(job)


def _open_stages(job: RerankJob) -> list[StageExecution]:
    stages = []
    for number, stage in enumerate(job.stages, 1):
        with name_stage(number):
            cascade = open_cascade(stage)
            stages.append(StageExecution(stage, open_execution(stage, cascade), cascade))
    return stages
