"""What the training of a LoRA adapter will read and take, before it starts."""

import time
from typing import NamedTuple

from rankprompt.distil.config import DistilConfig
from rankprompt.distil.dry_run import lesson_questions
from rankprompt.distil.job import teacher_job
from rankprompt.distil.lora_config import LoraConfig
from rankprompt.distil.lora_job import lessons_of, open_student
from rankprompt.distil.lora_lessons import check_lora_student
from rankprompt.distil.lora_schedule import Schedule
from rankprompt.distil.lora_training import make_optimizer, train_step
from rankprompt.distil.pairs import Taught
from rankprompt.errors import require
from rankprompt.types import Progress, no_progress

__all__ = ["LoraPlan", "plan_lora"]

_TRIED = 2  # steps that are made, to tell how long all take


class LoraPlan(NamedTuple):
    """What the training of an adapter will read and take.

    Attributes:
        pairs: how many there are to learn from, ties included where the teacher is yet to be asked.
        queries: of how many queries.
        prompts: as in ``DistilPlan``.
        teacher_tokens: as in ``DistilPlan``.
        steps: of the optimizer, unless training stops early.
        student_tokens: the tokens of all epochs and validations.
        seconds: about how long the training takes here.
    """

    pairs: int
    queries: int
    prompts: int
    teacher_tokens: int | None
    steps: int
    student_tokens: int
    seconds: float


def plan_lora(config: DistilConfig, lora: LoraConfig, progress: Progress = no_progress) -> LoraPlan:
    """Counts what a training will read, and makes a few of its steps to tell how long it takes.

    Nothing is written, and the teacher is asked nothing.

    Args:
        config: who teaches whom.
        lora: how the adapter is trained.
        progress: opens progress bars.

    Raises:
        RankpromptError: as ``distil_lora``, as far as that is known before the teacher is asked.
    """
    require("peft")
    prompt = check_lora_student(config.student, config.prompt)
    job = teacher_job(config)
    model = open_student(config, job)
    questions, prompts, tokens = lesson_questions(config, job, progress)
    # What the teacher says changes neither the prompts nor their order.
    lessons, _ = lessons_of(model, prompt, [Taught(one, 1.0) for one in questions], job)
    schedule = Schedule(lessons, lora, job.config.seed)
    optimizer = make_optimizer(model, job.config.seed)
    tried = schedule.steps[: 1 + _TRIED]
    seconds = read = 0.0
    with progress("trying a few steps", len(tried)) as advance:
        for number, step in enumerate(tried):
            started = time.perf_counter()
            train_step(model, lessons.rows, optimizer, step, schedule.rate(1))
            if number or len(tried) == 1:  # the first is slow
                seconds += time.perf_counter() - started
                read += schedule.tokens_of(step)
            advance(1)
    return LoraPlan(
        len(questions), len({one.query.id for one in questions}), prompts, tokens,
        len(schedule.steps), schedule.tokens, seconds / read * schedule.tokens,
    )  # fmt: skip
