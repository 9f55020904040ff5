"""What stages with a model each would cost together, and what each adds to the quality."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from rankprompt.errors import InputError
from rankprompt.judges.simulated.error_model import ErrorModel
from rankprompt.pipeline.job import RerankJob
from rankprompt.pipeline.passages import open_cascade
from rankprompt.pipeline.stage_validation import name_stage
from rankprompt.pipeline.staged_execution import first_of, rank_again
from rankprompt.planning.calibration import Speed
from rankprompt.planning.config import PlanConfig
from rankprompt.planning.preparation import (
    PlanInputs,
    close_any,
    load_any,
    make_meters,
    measure_speed,
)
from rankprompt.planning.prices import PriceMeter
from rankprompt.planning.simulation import (
    Measure,
    MethodPlan,
    Simulation,
    Trial,
    judges_of,
    trials_of,
)
from rankprompt.types import Candidates, Document, PairwiseQuestion, Progress

__all__ = ["plan_stages"]

N = TypeVar("N", int, float)


class _Stage(NamedTuple):
    """A stage: how it is simulated, and the texts that it shows, by query and document."""

    job: RerankJob
    meter: PriceMeter
    speed: Speed | None
    simulation: Simulation
    shown: Mapping[str, Mapping[str, Document]]


def plan_stages(
    job: RerankJob,
    config: PlanConfig,
    inputs: PlanInputs,
    errors: ErrorModel | None,
    measure: Measure,
    progress: Progress,
) -> list[MethodPlan]:
    """Prices each stage before judges that err, each with what the stage before left it.

    Returns:
        The stages in their order, and their sum.

    Raises:
        InputError: a stage is a cascade, which asks no questions.
    """
    for number, stage in enumerate(job.stages, 1):
        if stage.source == "teacher":
            raise InputError(f"`plan` prices methods that ask questions; stage {number} asks none")
    trials = trials_of(judges_of(errors), len(inputs.truths), config.seeds)
    total = len(trials) * sum(job.estimate(len(query.documents)) for query in inputs.candidates)
    with progress("simulating", total) as advance:
        stages = []
        for number, stage in enumerate(job.stages, 1):
            with name_stage(number):
                stages.append(_open(stage, config, inputs, errors, trials, advance))
        for query in inputs.candidates:
            grades = [truth.get(query.query.id, {}) for truth in inputs.truths]
            for trial in trials:
                _rank(query, inputs.first_stage[query.query.id], stages, trial, grades)
            for one in stages:
                one.meter.forget()
    rows = [
        one.simulation.result(measure, inputs.truths, one.speed)._replace(
            method=written.partition(" ")[0]
        )
        for one, written in zip(stages, job.config.stage, strict=True)
    ]
    for one in stages:
        close_any(one.job, one.meter.model)
    return [*rows, _sum(rows)]


def _open(
    job: RerankJob,
    config: PlanConfig,
    inputs: PlanInputs,
    errors: ErrorModel | None,
    trials: Sequence[Trial],
    advance: Callable[[int], None],
) -> _Stage:
    candidates = inputs.candidates
    if cascade := open_cascade(job):
        candidates = cascade(candidates)
    meters = make_meters(job, load_any(job))
    pairs = meters[PairwiseQuestion]
    speed = asyncio.run(measure_speed(job, pairs, candidates, config, opens=False))
    simulation = Simulation(
        job,
        job.config.ranker.method or "",
        order=job.config.judge.order if pairs.ordered else "single",
        judges=judges_of(errors),
        trials=trials,
        first_stage=inputs.first_stage,
        meter=meters[job.question],
        on_judged=advance,
    )
    shown = {
        query.query.id: {document.id: document for document in query.documents}
        for query in candidates
    }
    return _Stage(job, meters[job.question], speed, simulation, shown)


def _rank(
    query: Candidates,
    ranking: Sequence[str],
    stages: Sequence[_Stage],
    trial: Trial,
    grades: Sequence[Mapping[str, int]],
) -> None:
    """Ranks a query in one trial, stage by stage.

    Args:
        query: the first stage's candidates.
        ranking: all of its documents, those without text as well.
        stages: the stages.
        trial: the trial.
        grades: of the query, known or one for each seed.
    """
    for stage in stages:
        first = first_of(query, stage.job.config.data.depth)
        shown = stage.shown[query.query.id]
        documents = tuple(shown[document.id] for document in first.documents)
        ranking = stage.simulation.rank(trial, first._replace(documents=documents), grades, ranking)
        kept = {document.id for document in query.documents}
        query = rank_again(query, [name for name in ranking if name in kept])


def _sum(rows: Sequence[MethodPlan]) -> MethodPlan:
    """The costs of all stages, which wait for one another, and the quality of the last."""
    nouns = {row.question for row in rows}
    return rows[-1]._replace(
        method="all stages",
        question=nouns.pop() if len(nouns) == 1 else "question",
        prompt=None,
        comparisons=sum(row.comparisons for row in rows),
        prompts=sum(row.prompts for row in rows),
        rounds=sum(row.rounds for row in rows),
        tokens=_add(row.tokens for row in rows),
        written_tokens=_add(row.written_tokens for row in rows),
        seconds=_add(row.seconds for row in rows),
        waits=_add(row.waits for row in rows),
        cost=_add(row.cost for row in rows),
    )


def _add(values: Iterable[N | None]) -> N | None:
    """The sum of the values that are known; None where none is: an oracle reads no tokens."""
    known = [value for value in values if value is not None]
    return sum(known[1:], known[0]) if known else None
