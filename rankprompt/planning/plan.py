"""What every method would cost, and what a judge's errors would do to it, before a token is spent.

The real algorithms rank the real candidates before a simulated judge, so their comparisons and
rounds are counted, not guessed. Prompts and tokens are those of the real passages, prompt and
tokenizer. One query is simulated at a time: memory does not grow with their number.
"""

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rankprompt.errors import InputError
from rankprompt.judges.adapters.pairwise import pairwise_adapter
from rankprompt.judges.registry import serves
from rankprompt.judges.simulated.error_model import FITTED, ErrorModel, parse_error_model
from rankprompt.judges.simulated.fit_to_journal import fit_to_journal
from rankprompt.pipeline.config import OutputConfig
from rankprompt.pipeline.config_file import as_dict
from rankprompt.pipeline.job import RerankJob
from rankprompt.pipeline.passages import open_cascade
from rankprompt.pipeline.validation import validate
from rankprompt.planning.calibration import Speed
from rankprompt.planning.config import Plan, PlanConfig
from rankprompt.planning.preparation import (
    PlanInputs,
    close_any,
    load_any,
    make_meters,
    measure_speed,
    read_inputs,
)
from rankprompt.planning.prices import AnyModel, PriceMeter
from rankprompt.planning.simulation import (
    NOISES,
    Measure,
    MethodPlan,
    Simulation,
    judges_of,
    trials_of,
)
from rankprompt.planning.staged_plan import plan_stages
from rankprompt.prompts.prompt import RELEVANCE
from rankprompt.rankers import METHODS, method
from rankprompt.types import (
    Candidates,
    PairwiseQuestion,
    Progress,
    Qrels,
    QuestionKind,
    no_progress,
)

__all__ = ["NOISES", "plan_inputs", "plan_rerank"]

_SETTINGS = (
    "model.name", "judge.prompt", "judge.instruction", "judge.mode", "judge.order", "ranker.k",
    "ranker.passes", "ranker.early_exit", "ranker.comparisons", "data.depth", "data.limit",
    "judge.passage_tokens", "ranker.input_order", "seed", "budget.price_in", "budget.price_out",
    "model.batch_api",
)  # fmt: skip


def plan_rerank(
    config: PlanConfig,
    measure: Measure,
    progress: Progress = no_progress,
) -> Plan:
    """Prices every method for a reranking; writes nothing, and asks a few prompts at the most.

    Args:
        config: the configuration.
        measure: the quality of a run, higher is better; it sees the first ten documents alone.
        progress: as in ``run_rerank``.

    Raises:
        RankpromptError: as ``run_rerank``.
    """
    _check_seeds(config)
    # Nothing is written, and noise is simulated.
    unwritten = replace(config.rerank, output=OutputConfig(Path(os.devnull)))
    job = validate(unwritten, asks=config.calibrate)
    _error_model(job, config)
    return plan_inputs(job, config, read_inputs(job, config, measure), measure, progress)


def plan_inputs(
    job: RerankJob,
    config: PlanConfig,
    inputs: PlanInputs,
    measure: Measure,
    progress: Progress = no_progress,
) -> Plan:
    """Plans a job over candidates that were read; as ``plan_rerank``."""
    _check_seeds(config)
    errors, fitted = _error_model(job, config)
    if job.stages:
        return _plan(
            job, config, inputs, errors, plan_stages(job, config, inputs, errors, measure, progress)
        )
    candidates = inputs.candidates
    if cascade := open_cascade(job):
        candidates = cascade(candidates)
    truths = inputs.truths
    model = load_any(job)
    meters = make_meters(job, model)
    speed = asyncio.run(
        measure_speed(job, meters[PairwiseQuestion], candidates, config, opens=fitted is not None)
    )
    if fitted is not None and model:
        errors = _fit(Path(fitted), job, model, candidates, truths[0])
    simulations = _simulate(
        job, config, errors, meters, inputs.first_stage, candidates, truths, progress
    )
    close_any(job, model)
    plans = [simulation.result(measure, truths, speed) for simulation in simulations]
    plans.sort(key=lambda entry: (entry.comparisons, entry.rounds))
    alone = not meters[PairwiseQuestion].ordered
    return _plan(job, config, inputs, errors, plans, one_passage_at_a_time=alone, speed=speed)


def _check_seeds(config: PlanConfig) -> None:
    if config.seeds < 1:
        raise InputError(f"`seeds` must be at least 1, not {config.seeds}")
    if config.seeds > 1000:
        raise InputError(f"`seeds` must be at most 1000, not {config.seeds}")


def _error_model(job: RerankJob, config: PlanConfig) -> tuple[ErrorModel | None, str | None]:
    """How the simulated judge errs, or the journal that it is to be fitted to; else None."""
    simulate = config.judge_model
    if not (simulate and simulate.startswith(FITTED)):
        return (parse_error_model(simulate) if simulate else None), None
    if job.prompt is None:
        raise InputError(f"`judge_model` {simulate} needs the `model` whose answers these are")
    return None, simulate.removeprefix(FITTED)


def _plan(
    job: RerankJob,
    config: PlanConfig,
    inputs: PlanInputs,
    errors: ErrorModel | None,
    methods: list[MethodPlan],
    *,
    one_passage_at_a_time: bool = False,
    speed: Speed | None = None,
) -> Plan:
    return Plan(
        settings=_settings(job),
        queries=len(inputs.candidates),
        documents=sum(len(query.documents) for query in inputs.candidates),
        one_passage_at_a_time=one_passage_at_a_time,
        skipped_documents=inputs.skipped,
        grades=str(inputs.grades) if inputs.grades else "synthetic",
        unjudged_queries=len(inputs.first_stage) - len(inputs.truths[0]) if inputs.grades else 0,
        seeds=config.seeds,
        judge_model=str(errors) if errors else None,
        calibration=speed,
        tokens_guessed=any(one.source == "server" for one in job.single_jobs)
        and (not config.calibrate or (speed is None and not job.stages)),
        first_stage=inputs.quality,
        methods=methods,
        staged=bool(job.stages),
    )


def _simulate(
    job: RerankJob,
    config: PlanConfig,
    errors: ErrorModel | None,
    meters: Mapping[QuestionKind, PriceMeter],
    first: Mapping[str, Sequence[str]],
    candidates: Sequence[Candidates],
    truths: Sequence[Qrels],
    progress: Progress,
) -> list[Simulation]:
    """Runs every method before every judge, one query at a time."""
    named = config.rerank.ranker.method
    names = [*METHODS, *([named] if named and named not in METHODS else [])]
    if errors and not errors.of_all_kinds:
        names = [name for name in names if method(name).question is PairwiseQuestion]
    if job.prompt and job.prompt.kind == RELEVANCE.kind:
        # A reranker scores single passages: no prompt makes it list or select.
        names = [name for name in names if serves(job.prompt, method(name).question)]
    judges = judges_of(errors)
    trials = trials_of(judges, len(truths), config.seeds)
    total = len(trials) * sum(
        method(name).estimate(len(query.documents), job.settings)
        for query in candidates
        for name in names
    )
    # A passage that is shown alone is shown once.
    order = job.config.judge.order if meters[PairwiseQuestion].ordered else "single"
    with progress("simulating", total) as advance:
        simulations = [
            Simulation(
                job,
                name,
                order=order,
                judges=judges,
                trials=trials,
                first_stage=first,
                meter=meters[method(name).question],
                on_judged=advance,
            )
            for name in names
        ]
        for query in candidates:
            for simulation in simulations:
                simulation.run(query, [truth.get(query.query.id, {}) for truth in truths])
            for meter in meters.values():
                meter.forget()
    return simulations


def _fit(
    journal: Path,
    job: RerankJob,
    model: AnyModel,
    candidates: Sequence[Candidates],
    qrels: Qrels,
) -> ErrorModel:
    """The error model of the job's model, by its answers in a journal."""
    assert job.prompt is not None, "checked before"
    judging = job.config.judge
    return fit_to_journal(
        journal,
        candidates,
        qrels,
        model=model,
        adapter=pairwise_adapter(job.prompt, judging.mode),
        order=judging.order,
        decide=judging.decide or "agreement",
        seed=job.config.seed,
        passage_tokens=judging.passage_tokens,
    ).fit()


def _settings(job: RerankJob) -> dict[str, Any]:
    """The fields of the configuration that a plan depends on, by the names of their options."""
    settings = {}
    for path in _SETTINGS:
        group, _, name = path.rpartition(".")
        holder = getattr(job.config, group) if group else job.config
        settings["model" if path == "model.name" else name] = getattr(holder, name)
    if job.stages:
        settings["stage"] = as_dict(job.config)["stage"]
    return settings
