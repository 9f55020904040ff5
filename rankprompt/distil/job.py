"""A distillation as a job: from a teacher and candidates to a student in a folder."""

import logging
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rankprompt.distil.config import DistilConfig
from rankprompt.distil.doubt import ask_in_doubt
from rankprompt.distil.folder import check_output, write_head
from rankprompt.distil.head_training import FittedHead, IndexedPairs, fit_head
from rankprompt.distil.pairs import Taught, ask_teacher, draw, find_in_journal
from rankprompt.distil.states import Student, check_student
from rankprompt.errors import InputError
from rankprompt.files.home import expand
from rankprompt.files.manifest import beside
from rankprompt.llm.rerankers.head_files import HeadConfig
from rankprompt.pipeline.candidate_source import CandidateSource
from rankprompt.pipeline.config import OutputConfig
from rankprompt.pipeline.job import RerankJob
from rankprompt.pipeline.validation import validate
from rankprompt.types import (
    Candidates,
    Document,
    PairwiseQuestion,
    Progress,
    Query,
    no_progress,
)

__all__ = ["DistilResult", "candidates_of", "distil", "passages_of", "teach", "teacher_job"]

log = logging.getLogger("rankprompt")

_FEWEST = 20  # pairs; a head of hundreds of weights learns nothing from fewer


class DistilResult(NamedTuple):
    """What a distillation gave.

    Attributes:
        output: the folder.
        head: the head.
        pairs: how many were learnt from.
        queries: of how many queries.
        passages: how many the student read.
        tokens: how many the student read.
        seconds: how long all took.
    """

    output: Path
    head: FittedHead
    pairs: int
    queries: int
    passages: int
    tokens: int
    seconds: float


def teacher_job(config: DistilConfig) -> RerankJob:
    """Checks at no cost who teaches, and gives the job by which the teacher is asked.

    Raises:
        InputError: a field that cannot work; the message names it and says what would work.
    """
    teacher = config.teacher
    if teacher.ranker.method == "cascade" or teacher.stage:
        raise InputError("a teacher is one model: leave out `stage` and `method` cascade")
    judge = replace(teacher.judge, decide="soft", prior=0.0)
    if judge.order == "lazy":
        judge = replace(judge, order="both")
    return validate(
        replace(
            teacher,
            ranker=replace(teacher.ranker, method="allpair"),
            judge=judge,
            # Nothing but the journal is written.
            output=OutputConfig(
                Path(os.devnull), teacher.output.journal or beside(config.output, ".journal")
            ),
        )
    )


def candidates_of(job: RerankJob) -> list[Candidates]:
    """The queries of a job with their documents.

    Raises:
        InputError: they cannot be read, or there is one query.
    """
    source = CandidateSource(job)
    candidates = [one for block in source.blocks() for one in block.candidates]
    if len(candidates) < 2:
        raise InputError(
            f"{len(candidates)} query with candidates: it takes two at the least, one to learn "
            "from and one to validate on"
        )
    return candidates


def passages_of(questions: Iterable[PairwiseQuestion]) -> list[tuple[Query, Document]]:
    """The passages of pairs with their queries, each once."""
    return list(dict.fromkeys((query, one) for query, *both in questions for one in both))


def distil(config: DistilConfig, progress: Progress = no_progress) -> DistilResult:
    """Trains a head on a student by a teacher's preferences, and writes its folder.

    A distillation that was interrupted is started again by the same command: the teacher's answers
    are in the journal, and the same weights come out.

    Args:
        config: who teaches whom.
        progress: opens progress bars.

    Raises:
        RankpromptError: an input or a model cannot be used, or there is nothing to learn.
    """
    started = time.monotonic()
    check_output(config.output)
    prompt = check_student(config.student, config.prompt)
    job = teacher_job(config)
    candidates = candidates_of(job)
    taught = teach(config, job, candidates, progress)
    passages = passages_of(one.question for one in taught)
    student = Student.of(config.student, prompt, job)
    states = student.states(passages, progress)
    numbers = {query: number for number, query in enumerate(dict.fromkeys(q for q, _ in passages))}
    queries = np.array([numbers[query] for query, _ in passages])
    head = fit_head(states, _indexed(taught, passages), queries, job.config.seed)
    result = DistilResult(
        config.output, head, len(taught), len(numbers), len(passages), student.tokens,
        time.monotonic() - started,
    )  # fmt: skip
    folder = expand(config.student)
    about = HeadConfig(
        # A folder is found from anywhere.
        model=str(folder.resolve()) if folder.exists() else config.student,
        layers=student.layers,
        text=str(prompt.text),
        chat=prompt.chat,
        dtype=student.model.dtype,
        fingerprint=student.model.fingerprint,
    )
    write_head(config, job, about, result)
    return result


def teach(
    config: DistilConfig, job: RerankJob, candidates: Sequence[Candidates], progress: Progress
) -> list[Taught]:
    """The pairs to learn from, without ties.

    Raises:
        InputError: there are too few, or the teacher's answers cannot be used.
        ModelError: the teacher cannot be asked.
    """
    if journal := config.teacher.output.journal:
        every = find_in_journal(journal, job, candidates, progress)
    elif config.choose == "doubt":
        every = ask_in_doubt(job, candidates, config.pairs, progress)
    else:
        every = ask_teacher(job, candidates, config.pairs, progress)
    decided = [one for one in every if one.preference != 0.5]
    if every and not decided:
        raise InputError(
            f"all {len(every)} pairs are ties to the teacher: there is nothing to learn from them"
        )
    taught = draw(decided, config.pairs, job.config.seed)
    queries = {one.question.query.id for one in taught}
    if len(taught) < _FEWEST or len(queries) < 2:
        raise InputError(
            f"the teacher prefers a passage in {len(taught)} pairs of {len(queries)} queries; it "
            f"takes {_FEWEST} pairs of two queries at the least: give more candidates (`run`, "
            "`depth`) or `pairs`"
        )
    return taught


def _indexed(taught: Sequence[Taught], passages: Sequence[tuple[Query, Document]]) -> IndexedPairs:
    places = {passage: place for place, passage in enumerate(passages)}
    rows = [
        (places[query, first], places[query, second], preference)
        for (query, first, second), preference in taught
    ]
    first, second, preference = zip(*rows, strict=True)
    return IndexedPairs(np.array(first), np.array(second), np.array(preference, dtype=np.float64))
