"""What a distillation will read and take, before it starts."""

import time
from typing import NamedTuple

from rankprompt.distil.config import DistilConfig
from rankprompt.distil.doubt import tournament_of
from rankprompt.distil.job import candidates_of, passages_of, teacher_job
from rankprompt.distil.pairs import draw, draw_questions, find_in_journal
from rankprompt.distil.states import Student, check_student
from rankprompt.pipeline.job import RerankJob
from rankprompt.planning.preparation import load_any
from rankprompt.planning.prices import PriceMeter
from rankprompt.types import PairwiseQuestion, Progress, no_progress

__all__ = ["DistilPlan", "lesson_questions", "plan_distillation"]

_TRIED = 16  # passages that the student reads, to tell how long all take


class DistilPlan(NamedTuple):
    """What a distillation will read and take.

    Attributes:
        pairs: how many there are to learn from, ties included where the teacher is yet to be asked.
        queries: of how many queries.
        prompts: the most that the teacher is asked; 0 where a journal answers.
        teacher_tokens: the tokens of these prompts and of the longest answers; None where nobody
            counts them.
        passages: how many the student reads.
        student_tokens: how many tokens these are.
        seconds: about how long the student takes to read them here.
    """

    pairs: int
    queries: int
    prompts: int
    teacher_tokens: int | None
    passages: int
    student_tokens: int
    seconds: float


def lesson_questions(
    config: DistilConfig, job: RerankJob, progress: Progress = no_progress
) -> tuple[list[PairwiseQuestion], int, int | None]:
    """The pairs that a distillation learns from, as far as they are known by now.

    Returns:
        The pairs, ties included where the teacher is yet to be asked; and the prompts that it is
        asked at the most, with their tokens, as in ``DistilPlan``.

    Raises:
        RankpromptError: as ``plan_distillation``.
    """
    candidates = candidates_of(job)
    prompts, tokens = 0, None
    if journal := config.teacher.output.journal:
        found = [
            one for one in find_in_journal(journal, job, candidates, progress)
            if one.preference != 0.5
        ]  # fmt: skip
        questions = [one.question for one in draw(found, config.pairs, job.config.seed)]
    else:
        # A tournament's questions are told by answers. As many drawn ones stand for them.
        number = config.pairs
        if config.choose == "doubt":
            tournament = tournament_of(job, len(candidates), number)
            number = sum(tournament.estimate(len(one.documents)) for one in candidates)
        questions = draw_questions(candidates, number, job.config.seed)
        if job.source != "oracle":
            meter = PriceMeter(job, PairwiseQuestion, job.prompt, load_any(job))
            asked: dict[str, list[PairwiseQuestion]] = {}
            for question in questions:
                asked.setdefault(question.query.id, []).append(question)
            for of_query in asked.values():
                price = meter.price({part: one for one in of_query for part in meter.parts(one)})
                prompts += price.prompts
                tokens = (tokens or 0) + (price.tokens or 0) + (price.written or 0)
                meter.forget()
    return questions, prompts, tokens


def plan_distillation(config: DistilConfig, progress: Progress = no_progress) -> DistilPlan:
    """Counts what a distillation will read; nothing is written, and the teacher is asked nothing.

    Args:
        config: who teaches whom.
        progress: opens progress bars.

    Raises:
        RankpromptError: as ``distil``, as far as that is known before the teacher is asked.
    """
    prompt = check_student(config.student, config.prompt)
    job = teacher_job(config)
    questions, prompts, tokens = lesson_questions(config, job, progress)
    passages = passages_of(questions)
    student = Student.of(config.student, prompt, job)
    lengths = [student.model.length(student.shown(*one)) for one in passages]
    student.states(passages[:1])  # a model's first prompt is slow
    tried = passages[:_TRIED]
    started, before = time.perf_counter(), student.tokens
    student.states(tried)
    seconds = time.perf_counter() - started
    return DistilPlan(
        len(questions), len({one.query.id for one in questions}), prompts, tokens, len(passages),
        sum(lengths), seconds / (student.tokens - before) * sum(lengths),
    )  # fmt: skip
