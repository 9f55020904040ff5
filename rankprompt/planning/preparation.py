"""What a plan reads before it simulates: candidates, grades, models, prices and speeds."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple, cast

from rankprompt.errors import InputError
from rankprompt.files import read_qrels
from rankprompt.journal.call_limit import first_calls
from rankprompt.judges.registry import default_prompt, serves
from rankprompt.judges.simulated.synthetic_qrels import synthetic_qrels
from rankprompt.llm import AsyncLanguageModel
from rankprompt.pipeline.candidate_source import CandidateSource
from rankprompt.pipeline.job import RerankJob
from rankprompt.pipeline.model_access import load_local
from rankprompt.pipeline.server_fields import connect
from rankprompt.planning.calibration import Speed, calibrate
from rankprompt.planning.config import PlanConfig
from rankprompt.planning.prices import AnyModel, PriceMeter
from rankprompt.planning.simulation import Measure, top_ranks
from rankprompt.prompts.prompt import load_prompt
from rankprompt.rankers import METHODS
from rankprompt.rankers.reranking import as_run
from rankprompt.types import Candidates, Qrels, QuestionKind

__all__ = [
    "PlanInputs", "close_any", "inputs_of", "load_any", "make_meters", "measure_speed",
    "read_inputs",
]  # fmt: skip


class PlanInputs(NamedTuple):
    """What a plan reads.

    Attributes:
        first_stage: the first stage's rankings by query.
        candidates: the queries that have candidates with text.
        skipped: the number of candidates without text.
        grades: the file of the grades; None where they are synthetic.
        truths: the grades of the planned queries: as known, or synthetic ones for each seed.
        quality: of the first stage.
    """

    first_stage: dict[str, list[str]]
    candidates: list[Candidates]
    skipped: int
    grades: Path | None
    truths: list[Qrels]
    quality: float


def read_inputs(job: RerankJob, config: PlanConfig, measure: Measure) -> PlanInputs:
    """Reads what a plan reads; what cannot be measured is reported before anything takes long.

    Raises:
        InputError: no query has a candidate with text, or none has grades.
    """
    grades = _grades(job, config)
    source = CandidateSource(job)
    blocks = list(source.blocks())
    first = {query: list(scores) for block in blocks for query, scores in block.run.items()}
    candidates = [query for block in blocks for query in block.candidates]
    if not candidates:
        where = job.config.data.run or job.config.data.dataset
        raise InputError(f"{where}: no query has a candidate with text; there is nothing to plan")
    return _inputs(job, config, measure, grades, first, candidates, source.skipped)


def inputs_of(
    job: RerankJob, config: PlanConfig, measure: Measure, candidates: Sequence[Candidates]
) -> PlanInputs:
    """What a plan reads, where the candidates are in memory.

    Raises:
        InputError: no query has grades, where there is a file of them.
    """
    first = {query.query.id: [document.id for document in query.documents] for query in candidates}
    return _inputs(job, config, measure, _grades(job, config), first, list(candidates), 0)


def _grades(job: RerankJob, config: PlanConfig) -> Path | None:
    oracles = [one.qrels for one in job.single_jobs if one.source == "oracle"]
    grades = config.qrels or (oracles[0] if oracles else None)
    if config.judge_model and grades is None:
        raise InputError("`simulate` needs the grades that its judge reads: `qrels`")
    return grades


def _inputs(
    job: RerankJob,
    config: PlanConfig,
    measure: Measure,
    grades: Path | None,
    first: dict[str, list[str]],
    candidates: list[Candidates],
    skipped: int,
) -> PlanInputs:
    seeds = [job.config.seed + number for number in range(config.seeds)]
    truths = _truths(grades, first, candidates, seeds)
    quality = fmean(measure(as_run(top_ranks(first)), truth) for truth in truths)
    return PlanInputs(first, candidates, skipped, grades, truths, quality)


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


def load_any(job: RerankJob) -> AnyModel | None:
    """Loads the job's model, or connects to its server; None for an oracle."""
    if job.source == "oracle":
        return None
    if job.source == "server":
        return connect(job)
    return load_local(job)


def close_any(job: RerankJob, model: AnyModel | None) -> None:
    """Closes what counting a server's tokens opens again after ``measure_speed``."""
    if job.source == "server":
        asyncio.run(cast(AsyncLanguageModel, model).close())


def make_meters(job: RerankJob, model: AnyModel | None) -> dict[QuestionKind, PriceMeter]:
    """By kind of question; each with the job's prompt where it serves, else the kind's default."""
    meters = {}
    for kind in {entry.question: None for entry in METHODS.values()}:
        prompt = job.prompt
        if prompt and not serves(prompt, kind):
            prompt = load_prompt(default_prompt(kind, job.config.model.name))
        meters[kind] = PriceMeter(job, kind, prompt, model)
    return meters


async def measure_speed(
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
            concurrency=first_calls(job.config.model.concurrency),
            seed=job.config.seed,
        )
    finally:
        if server:
            await cast(AsyncLanguageModel, meter.model).close()
