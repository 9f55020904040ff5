"""The cascade of a job: it selects the windows of long documents that a judge or teacher reads."""

import logging
from typing import Any, NamedTuple

from rankprompt.cascade import Cascade, WindowConfig, load_student
from rankprompt.cascade.students import Student
from rankprompt.cascade.teachers import is_served, teacher_offsets
from rankprompt.files.home import expand
from rankprompt.llm.encoder_networks import load_reader
from rankprompt.llm.registry import is_reranker
from rankprompt.llm.rerankers.head_files import is_head, read_head
from rankprompt.llm.rerankers.names import find_weights
from rankprompt.llm.tokenizer_offsets import Offsets, model_offsets, word_offsets
from rankprompt.pipeline.config import CROSS_ENCODER
from rankprompt.pipeline.job import RerankJob

__all__ = [
    "CascadeParts", "cascade_parts", "cascade_settings", "open_cascade", "tell_of_no_use",
]  # fmt: skip

log = logging.getLogger("rankprompt")

_QUERY_TOKENS = 64  # room beside a passage that a reranker reads whole


class CascadeParts(NamedTuple):
    """What a cascade is made of that takes time to load, and holds no counts.

    ``reads`` is the number of tokens that the model reads at once; 0 where it is not known.
    """

    student: Student | None
    offsets: Offsets
    reads: int


def open_cascade(job: RerankJob) -> Cascade | None:
    """Loads the student of a job's cascade; None where documents are shown whole.

    A local reranker reads what fits into its context: only longer documents are cut.

    It is None where there are stages, too: each has a cascade of its own.

    Raises:
        InputError: no such student.
        ModelError: the student or the tokenizer cannot be loaded.
    """
    parts = cascade_parts(job)
    return parts and Cascade(parts.student, parts.offsets, **cascade_settings(parts, job))


def cascade_parts(job: RerankJob) -> CascadeParts | None:
    """Loads what the cascade of a job is made of; raises as ``open_cascade``."""
    student = job.config.cascade.student
    if student is None or job.stages:
        return None
    return CascadeParts(load_student(student, seed=job.config.seed), *_reader(job))


def cascade_settings(parts: CascadeParts, job: RerankJob) -> dict[str, Any]:
    """The other arguments of a job's ``Cascade``."""
    config = job.config.cascade
    whole = job.source == "local" and is_reranker(job.model) and not is_head(job.model)
    return {
        "keep": config.keep,
        "windows": WindowConfig(config.window, config.overlap, window_unit=config.window_unit),
        "passage_tokens": job.config.judge.passage_tokens or (parts.reads if whole else None),
        "reads": parts.reads,
        "whole": whole,
    }


def _reader(job: RerankJob) -> tuple[Offsets, int]:
    """The offsets of the tokens of what reads the passages, and how many tokens it reads at once.

    Only of a cross-encoder is that number known, and asked; others give 0.
    """
    if job.source == "local" and is_head(job.model):
        return model_offsets(read_head(expand(job.model))[0].model), 0
    if job.source in ("teacher", "local") and is_reranker(job.model) and not is_served(job.model):
        own = job.config.model
        weights = find_weights(
            job.model.removeprefix(CROSS_ENCODER),
            code=own.trust_remote_code,
            revision=own.revision if job.source == "local" else None,
        )
        tokenizer, longest = load_reader(weights.folder)
        return (
            lambda text: tokenizer.encode(text, add_special_tokens=False).offsets,
            longest - _QUERY_TOKENS,
        )
    if job.source == "teacher" and not is_served(job.model):
        return teacher_offsets(job.model), 0
    if job.config.model.tokenizer and job.source in ("local", "teacher"):
        return model_offsets(job.config.model.tokenizer), 0
    if job.source == "local":
        return model_offsets(job.model), 0
    return word_offsets, 0  # an oracle or a server does not tell its tokens


def tell_of_no_use(cascade: Cascade | None) -> None:
    """Tells the user where a cascade had hardly anything to choose."""
    if cascade and cascade.counts.of_no_use:
        log.warning(
            "the cascade is of no use here: %s of %s documents are short enough to be read whole; "
            "leave out `cascade`, or `method` cascade",
            f"{cascade.counts.short:,}",
            f"{cascade.counts.documents:,}",
        )
