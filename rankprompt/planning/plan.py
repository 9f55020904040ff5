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
from statistics import fmean
from typing import Any, cast

from rankprompt.errors import InputError
from rankprompt.files import read_qrels
from rankprompt.judges.adapters.pairwise import pairwise_adapter
from rankprompt.judges.registry import default_prompt, serves
from rankprompt.judges.simulated.error_model import FITTED, ErrorModel, parse_error_model
from rankprompt.judges.simulated.fit_to_journal import fit_to_journal
from rankprompt.judges.simulated.synthetic_qrels import synthetic_qrels
from rankprompt.llm import AsyncLanguageModel
from rankprompt.pipeline.candidate_source import CandidateSource
from rankprompt.pipeline.config import OutputConfig
from rankprompt.pipeline.execution import load_local
from rankprompt.pipeline.job import RerankJob
from rankprompt.pipeline.passages import open_cascade
from rankprompt.pipeline.server_fields import connect
from rankprompt.pipeline.validation import validate
from rankprompt.planning.calibration import Speed, calibrate
from rankprompt.planning.config import Plan, PlanConfig
from rankprompt.planning.prices import AnyModel, PriceMeter
from rankprompt.planning.simulation import (
    SIMULATED,
    Measure,
    Simulation,
    Trial,
    top_ranks,
)
from rankprompt.prompts.prompt import load_prompt
from rankprompt.rankers import METHODS, method
from rankprompt.rankers.reranking import as_run
from rankprompt.types import (
    Candidates,
    PairwiseQuestion,
    Progress,
    Qrels,
    QuestionKind,
    no_progress,
)

__all__ = ["NOISES", "plan_rerank"]

NOISES = (0.0, 0.1, 0.2)
"""How often the simulated judge errs, where no other judge is asked for."""

_SETTINGS = (
    "model.name", "judge.prompt", "judge.mode", "judge.order", "ranker.k", "ranker.passes",
    "ranker.early_exit", "ranker.comparisons", "data.depth", "data.limit", "judge.passage_tokens",
    "ranker.input_order", "seed", "budget.price_in", "budget.price_out",
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
    if config.seeds < 1:
        raise InputError(f"`seeds` must be at least 1, not {config.seeds}")
    if config.seeds > 1000:
        raise InputError(f"`seeds` must be at most 1000, not {config.seeds}")
    simulate = config.judge_model
    fitted = simulate.removeprefix(FITTED) if simulate and simulate.startswith(FITTED) else None
    errors = parse_error_model(simulate) if simulate and fitted is None else None
    # Nothing is written, and noise is simulated.
    job = validate(replace(config.rerank, output=OutputConfig(Path(os.devnull))))
    grades = config.qrels or (job.qrels if job.source == "oracle" else None)
    if simulate and grades is None:
        raise InputError("`simulate` needs the grades that its judge reads: `qrels`")
    if fitted is not None and job.prompt is None:
        raise InputError(f"`judge_model` {simulate} needs the `model` whose answers these are")
    source = CandidateSource(job)
    blocks = list(source.blocks())
    first = {query: list(scores) for block in blocks for query, scores in block.run.items()}
    candidates = [query for block in blocks for query in block.candidates]
    if not candidates:
        where = job.config.data.run or job.config.data.dataset
        raise InputError(f"{where}: no query has a candidate with text; there is nothing to plan")
    if cascade := open_cascade(job):
        candidates = cascade(candidates)
    seeds = [job.config.seed + number for number in range(config.seeds)]
    truths = _truths(grades, first, candidates, seeds)
    # Measured first, so that what cannot be measured is reported before anything takes long.
    before = fmean(measure(as_run(top_ranks(first)), truth) for truth in truths)
    model = _load(job)
    meters = _meters(job, model)
    speed = asyncio.run(
        _speed(job, meters[PairwiseQuestion], candidates, config, opens=fitted is not None)
    )
    if fitted is not None and model:
        errors = _fit(Path(fitted), job, model, candidates, truths[0])
    simulations = _simulate(job, config, errors, meters, first, candidates, truths, progress)
    plans = [simulation.result(measure, truths, speed) for simulation in simulations]
    return Plan(
        settings=_settings(job),
        queries=len(candidates),
        documents=sum(len(query.documents) for query in candidates),
        one_passage_at_a_time=not meters[PairwiseQuestion].ordered,
        skipped_documents=source.skipped,
        grades=str(grades) if grades else "synthetic",
        unjudged_queries=len(first) - len(truths[0]) if grades else 0,
        seeds=config.seeds,
        judge_model=str(errors) if errors else None,
        calibration=speed,
        tokens_guessed=job.source == "server" and speed is None,
        first_stage=before,
        methods=sorted(plans, key=lambda entry: (entry.comparisons, entry.rounds)),
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
    judges = {str(noise): ErrorModel((noise,)) for noise in NOISES}
    if errors:
        judges = {"0.0": ErrorModel(), SIMULATED: errors}
    trials = [
        Trial(name, number)
        for name in judges
        for number in range(len(truths) if name == "0.0" else config.seeds)
    ]
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


def _truths(
    source: Path | None,
    first: Mapping[str, Sequence[str]],
    candidates: Sequence[Candidates],
    seeds: Sequence[int],
) -> list[Qrels]:
    """The grades of the planned queries: as known, or synthetic ones for each seed."""
    if source is None:
        return [
            {query.query.id: synthetic_qrels(query, seed) for query in candidates} for seed in seeds
        ]
    known = read_qrels(source)
    if not known.keys() & first.keys():
        raise InputError(f"{source}: no grades for any of the run's {len(first)} queries")
    return [{query: known[query] for query in first if query in known}]


def _load(job: RerankJob) -> AnyModel | None:
    """Loads the job's model, or connects to its server; None for an oracle."""
    if job.source == "oracle":
        return None
    if job.source == "server":
        return connect(job)
    return load_local(job)


def _meters(job: RerankJob, model: AnyModel | None) -> dict[QuestionKind, PriceMeter]:
    """By kind of question; each with the job's prompt where it serves, else the kind's default."""
    meters = {}
    for kind in {entry.question: None for entry in METHODS.values()}:
        prompt = job.prompt
        if prompt and not serves(prompt, kind):
            prompt = load_prompt(default_prompt(kind, job.config.model.name))
        meters[kind] = PriceMeter(job, kind, prompt, model)
    return meters


async def _speed(
    job: RerankJob,
    meter: PriceMeter,
    candidates: Sequence[Candidates],
    config: PlanConfig,
    *,
    opens: bool,
) -> Speed | None:
    """Measures the model's speed where that is asked for.

    Args:
        job: the job.
        meter: has the model.
        candidates: queries with their documents.
        config: the configuration of the plan.
        opens: whether the journal is read as well, whose keys need a server's whole fingerprint.
    """
    server = job.source == "server"
    try:
        if server and opens:
            await cast(AsyncLanguageModel, meter.model).open()
        return await calibrate(
            meter,
            candidates if config.calibrate else [],
            server=server,
            concurrency=job.config.model.concurrency,
            seed=job.config.seed,
        )
    finally:
        if server:
            await cast(AsyncLanguageModel, meter.model).close()


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
    return settings
