"""The cascade of a job: it selects the windows of long documents that a judge or teacher reads."""

from rankprompt.cascade import Cascade, WindowConfig, load_student
from rankprompt.cascade.teachers import is_served, teacher_offsets
from rankprompt.llm.tokenizer_offsets import model_offsets, word_offsets
from rankprompt.pipeline.job import RerankJob

__all__ = ["open_cascade"]


def open_cascade(job: RerankJob) -> Cascade | None:
    """Loads the student of a job's cascade; None where documents are shown whole.

    It is None where there are stages, too: each has a cascade of its own.

    Raises:
        InputError: no such student.
        ModelError: the student or the tokenizer cannot be loaded.
    """
    config = job.config.cascade
    if config.student is None or job.stages:
        return None
    if job.source == "teacher":
        tokenizer = job.config.model.tokenizer
        if not is_served(job.model):
            offsets = teacher_offsets(job.model)
        else:
            offsets = model_offsets(tokenizer) if tokenizer else word_offsets
    elif job.source == "local":
        offsets = model_offsets(job.model)
    else:
        offsets = word_offsets  # an oracle or a server does not tell its tokens
    return Cascade(
        load_student(config.student, seed=job.config.seed),
        offsets,
        keep=config.keep,
        windows=WindowConfig(config.window, config.overlap, window_unit=config.window_unit),
        passage_tokens=job.config.judge.passage_tokens,
    )
