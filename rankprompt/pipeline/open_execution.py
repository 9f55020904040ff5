"""Chooses the way to rerank a job's candidates."""

from rankprompt.cascade import Cascade
from rankprompt.pipeline.execution import (
    Execution,
    LocalExecution,
    OracleExecution,
    ServerExecution,
)
from rankprompt.pipeline.job import RerankJob
from rankprompt.pipeline.model_access import ModelAccess, OwnModels
from rankprompt.pipeline.stage_validation import name_stage
from rankprompt.pipeline.staged_execution import StagedExecution, StageExecution
from rankprompt.pipeline.teacher_execution import TeacherExecution
from rankprompt.types import Progress, no_progress

__all__ = ["open_execution"]


def open_execution(
    job: RerankJob,
    cascade: Cascade | None = None,
    progress: Progress = no_progress,
    models: ModelAccess | None = None,
    *,
    sharing: int = 1,
) -> Execution:
    """Chooses the way to rerank a job's candidates; as a context, it loads the model.

    Args:
        job: a validated job.
        cascade: selects the windows that a teacher scores.
        progress: opens the progress bars of stages; other jobs have one bar for the whole run.
        models: how it gets at models, servers and journals; None for its own.
        sharing: as many stages of a reranking use its cluster in turns.

    Raises:
        ModelError: the model cannot be loaded (when the context is entered).
        JournalError: the journal cannot be opened (likewise).
    """
    models = models or OwnModels()
    if job.stages:
        return StagedExecution(job, _open_stages(job, models), progress)
    if job.source == "teacher":
        assert cascade is not None, "a teacher scores a cascade's windows"
        return TeacherExecution(job, cascade, models)
    if job.source == "oracle":
        return OracleExecution(job, models)
    if job.source == "server":
        return ServerExecution(job, models)
    if job.config.ray.address:
        from rankprompt.pipeline.ray import RayExecution

        return RayExecution(job, sharing)
    return LocalExecution(job, models)


def _open_stages(job: RerankJob, models: ModelAccess) -> list[StageExecution]:
    stages = []
    sharing = sum(bool(stage.config.ray.address) for stage in job.stages)
    for number, stage in enumerate(job.stages, 1):
        with name_stage(number):
            cascade = models.cascade(stage)
            execution = open_execution(stage, cascade, models=models, sharing=sharing)
            stages.append(StageExecution(stage, execution, cascade))
    return stages
