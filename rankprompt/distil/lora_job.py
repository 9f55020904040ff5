"""A distillation into a LoRA adapter as a job: from a teacher and candidates to a folder."""

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rankprompt.cascade.training.examples import split_queries
from rankprompt.distil.config import DistilConfig
from rankprompt.distil.folder import check_output
from rankprompt.distil.job import candidates_of, teach, teacher_job
from rankprompt.distil.lora_config import LoraConfig
from rankprompt.distil.lora_folder import write_adapter
from rankprompt.distil.lora_lessons import Prompts, check_lora_student, check_options
from rankprompt.distil.lora_schedule import LoraLessons, Schedule
from rankprompt.distil.lora_training import best_row, train
from rankprompt.distil.pairs import Taught
from rankprompt.errors import InputError, require
from rankprompt.files.home import expand
from rankprompt.files.manifest import beside
from rankprompt.llm.embedded import resolve
from rankprompt.llm.local.trainable import TrainableModel
from rankprompt.pipeline.job import RerankJob
from rankprompt.prompts.prompt import Prompt
from rankprompt.types import Progress, no_progress

__all__ = ["LoraResult", "distil_lora", "lessons_of", "open_student"]


log = logging.getLogger("rankprompt")

_VALIDATION = 0.2  # of the queries


class LoraResult(NamedTuple):
    """What a distillation into an adapter gave.

    Attributes:
        output: the folder.
        config: how it was trained.
        curve: as ``train`` says.
        steps: how many the training would have had without an early stop.
        pairs: how many were learnt from, and how many there were to validate on.
        queries: likewise.
        seconds: how long all took, without what earlier starts of the same command took.
    """

    output: Path
    config: LoraConfig
    curve: list[dict[str, float]]
    steps: int
    pairs: tuple[int, int]
    queries: tuple[int, int]
    seconds: float

    @property
    def begun(self) -> dict[str, float]:
        """The curve's row before the first step."""
        return self.curve[0]

    @property
    def best(self) -> dict[str, float]:
        """The curve's row of the step whose weights are kept."""
        return best_row(self.curve)


def distil_lora(
    config: DistilConfig, lora: LoraConfig | None = None, progress: Progress = no_progress
) -> LoraResult:
    """Trains a LoRA adapter of a student by a teacher's preferences, and writes its folder.

    A distillation that was interrupted is started again by the same command: the teacher's answers
    are in the journal, and how far the training came in a checkpoint beside the output, so that the
    same weights come out.

    Args:
        config: who teaches whom; the student's prompt is of kind "choice", or "grades" with two.
        lora: how the adapter is trained.
        progress: opens progress bars.

    Raises:
        RankpromptError: an input or a model cannot be used, there is nothing to learn, or the
            training diverges.
    """
    started = time.monotonic()
    lora = lora or LoraConfig()
    check_output(config.output)
    require("peft")
    prompt = check_lora_student(config.student, config.prompt)
    job = teacher_job(config)
    candidates = candidates_of(job)
    model = open_student(config, job)
    check_options(model, prompt)  # before the teacher is asked
    taught = teach(config, job, candidates, progress)
    for one in taught:
        if not 0 <= one.preference <= 1:
            raise InputError(
                f"a preference of the teacher is {one.preference}, and no probability: nothing can "
                "be learnt from it"
            )
    lessons, queries = lessons_of(model, prompt, taught, job)
    schedule = Schedule(lessons, lora, job.config.seed)
    checkpoint = beside(config.output, ".checkpoint")
    with progress(f"training {config.student}", schedule.tokens) as advance:
        state = train(model, lessons, lora, job.config.seed, checkpoint, advance)
    result = LoraResult(
        config.output, lora, state.curve, len(schedule.steps),
        (len(lessons.learned), len(lessons.held_out)), queries, time.monotonic() - started,
    )  # fmt: skip
    if not result.best["step"]:
        log.warning(
            "no step made the student better on the held-out pairs: the adapter changes nothing; "
            "give more pairs, or another `learning_rate`"
        )
    folder = expand(config.student)
    # A folder is found from anywhere.
    base = str(folder.resolve()) if folder.exists() else config.student
    write_adapter(config, job, model, prompt, base, result)
    checkpoint.unlink(missing_ok=True)
    return result


def open_student(config: DistilConfig, job: RerankJob) -> TrainableModel:
    """Loads the student, without an adapter; raises ModelError where that fails."""
    return TrainableModel(
        resolve(config.student), shown_as=config.student, threads=job.config.model.threads
    )


def lessons_of(
    model: TrainableModel, prompt: Prompt, taught: Sequence[Taught], job: RerankJob
) -> tuple[LoraLessons, tuple[int, int]]:
    """The pairs as prompts, and how many queries they have to learn from and to validate on."""
    learned_from, validated_on = split_queries(
        [one.question.query.id for one in taught], _VALIDATION, job.config.seed
    )
    prompts = Prompts(model, prompt, job.config.judge.passage_tokens)
    lessons = prompts.add(taught)
    held_out = {*validated_on}
    found = LoraLessons(
        prompts.rows,
        prompts.ordered,
        [one for one in lessons if one.query not in held_out],
        [one for one in lessons if one.query in held_out],
    )
    return found, (len(learned_from), len(validated_on))
