"""Chooses the way to rerank a job's candidates."""

from rankprompt.cascade import Cascade
from rankprompt.pipeline.execution import (
    Execution,
    LocalExecution,
    OracleExecution,
    ServerExecution,
)
from rankprompt.pipeline.job import RerankJob
from rankprompt.pipeline.teacher_execution import TeacherExecution

__all__ = ["open_execution"]


def open_execution(job: RerankJob, cascade: Cascade | None = None) -> Execution:
    """Chooses the way to rerank a job's candidates; as a context, it loads the model.

    Args:
        job: a validated job.
        cascade: selects the windows that a teacher scores.

    Raises:
        ModelError: the model cannot be loaded (when the context is entered).
        JournalError: the journal cannot be opened (likewise).
    """
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
