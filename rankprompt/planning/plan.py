"""What every method would cost, and what a judge's errors would do to it, before a token is spent.

The real algorithms rank the real candidates before a simulated judge, so their comparisons and
rounds are counted, not guessed. Prompts and tokens are those of the real passages, prompt and
tokenizer. One query is simulated at a time: memory does not grow with their number.
"""

import asyncio
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any, TypeAlias, cast

from rankprompt.errors import InputError
from rankprompt.files import read_qrels
from rankprompt.journal.costs import Costs
from rankprompt.judges.adapters.pairwise import pairwise_adapter
from rankprompt.judges.registry import default_prompt, make_oracle, serves
from rankprompt.judges.simulated.error_model import FITTED, ErrorModel, parse_error_model
from rankprompt.judges.simulated.fit_to_journal import fit_to_journal
from rankprompt.judges.simulated.synthetic_qrels import invented_grades
from rankprompt.llm import AsyncLanguageModel
from rankprompt.pipeline.candidate_source import Supply
from rankprompt.pipeline.config import Job
from rankprompt.pipeline.validation import resolve
from rankprompt.planning.prices import Meter, Speed, calibrate, load
from rankprompt.prompts.prompt import Prompt, load_prompt
from rankprompt.rankers import METHODS, method
from rankprompt.rankers.reranking import as_run, insert_reranked, rerank
from rankprompt.types import (
    QUESTION_NOUNS,
    Candidates,
    PairwiseQuestion,
    Qrels,
    Question,
    QuestionKind,
    Run,
)

__all__ = ["NOISES", "invented_grades", "plan_job"]

NOISES = (0.0, 0.1, 0.2)
"""How often the simulated judge errs."""

_SIMULATED = "simulated"

_TOP = 10  # as deep as nDCG@10 reads

Measure: TypeAlias = Callable[[Run, Qrels], float]
_Progress: TypeAlias = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


def plan_job(
    job: Job,
    *,
    measure: Measure,
    qrels: Path | None = None,
    seeds: int = 3,
    calibration: bool = True,
    simulate: str | None = None,
    progress: _Progress = lambda *_: nullcontext(lambda _: None),
) -> dict[str, Any]:
    """Prices every method for a job; writes nothing, and asks a few prompts at the most.

    Args:
        job: the settings of the reranking; its noise, prior and output play no part. A method of
            stages is planned beside the others.
        measure: the quality of a run, higher is better; it sees the first ten documents alone.
        qrels: grades for the simulated judge. Without them it reads those of the job's oracle, or
            ``invented_grades``.
        seeds: simulations whose mean is taken, wherever chance plays a part.
        calibration: whether to measure the model's speed, which takes a few seconds.
        simulate: a judge model, as ``--judge-model`` takes it, before which costs are counted too;
            or ``fitted:JOURNAL``, for one that errs as the job's model did in that journal. It
            needs known grades. Left out, the judge is perfect, and errs in 10% and 20% of its
            answers to show what that does.
        progress: as in ``run_job``.

    Returns:
        What JSON can hold. ``methods`` has one entry a method, fewest comparisons (or questions of
        its kind) first; one whose questions the job's prompt does not put is priced with the
        default prompt of its kind. Prompts that a method or a later stage asks again are not
        counted again, for the journal answers them; tokens are those of whole prompts, although a
        local model runs what prompts share but once. ``quality`` is by the share of wrong answers,
        and as "simulated"; where the judge model tells of pairs alone, other methods are left
        out. What cannot be told is None: tokens without a model, seconds without calibration, cost
        without prices.

    Raises:
        RankpromptError: as ``run_job``.
    """
    if seeds < 1:
        raise InputError(f"--seeds must be at least 1, not {seeds}")
    fitted = simulate.removeprefix(FITTED) if simulate and simulate.startswith(FITTED) else None
    judge_model = parse_error_model(simulate) if simulate and fitted is None else None
    names = [*METHODS, *([job.method] if job.method and job.method not in METHODS else [])]
    job, prompt = resolve(job)
    source = qrels or job.oracle
    if simulate and source is None:
        raise InputError("--simulate needs the grades that its judge reads: --qrels")
    if fitted is not None and prompt is None:
        raise InputError(f"--judge-model {simulate} needs the --model whose answers these are")
    supply = Supply(job, lambda size: size)
    blocks = list(supply.blocks())
    first = {query: list(scores) for block in blocks for query, scores in block.run.items()}
    candidates = supply.shorten([one for block in blocks for one in block.candidates])
    if not candidates:
        where = job.run or job.dataset
        raise InputError(f"{where}: no query has a candidate with text; there is nothing to plan")
    truths = _truths(source, first, candidates, [job.seed + i for i in range(seeds)])
    # Measured first, so that what cannot be measured is told before anything takes long.
    before = fmean(measure(as_run(_tops(first)), truth) for truth in truths)
    model = load(job) if prompt else None
    meters = _meters(job, prompt, model)
    meter = meters[PairwiseQuestion]
    speed = asyncio.run(_speed(meter, candidates if calibration else [], job))
    if fitted is not None and prompt and model:
        graded = fit_to_journal(
            Path(fitted),
            candidates,
            truths[0],
            model=model,
            adapter=pairwise_adapter(prompt, job.mode),
            order=job.order,
            decide=job.decide or "agreement",
            seed=job.seed,
            passage_tokens=job.passage_tokens,
        )
        judge_model = graded.fit()
    if judge_model and not judge_model.of_all_kinds:
        names = [name for name in names if method(name).question is PairwiseQuestion]
    judges = {str(noise): ErrorModel((noise,)) for noise in NOISES}
    if judge_model:
        judges = {"0.0": ErrorModel(), _SIMULATED: judge_model}
    trials = [
        (name, number)
        for name in judges
        for number in range(len(truths) if name == "0.0" else seeds)
    ]
    total = len(trials) * sum(
        job.estimate(name, len(one.documents)) for one in candidates for name in names
    )
    # A passage that is read alone is read once.
    asked = job if meter.ordered else replace(job, order="single")
    with progress("simulating", total) as advance:
        simulations = [
            _Simulation(asked, name, judges, trials, first, meters[method(name).question], advance)
            for name in names
        ]
        for one in candidates:
            for simulation in simulations:
                simulation.run(one, [truth.get(one.query.id, {}) for truth in truths])
            for one_kind in meters.values():
                one_kind.forget()
    rows = [simulation.row(measure, truths, speed) for simulation in simulations]
    named = (
        "model", "prompt", "mode", "order", "k", "passes", "early_exit", "comparisons", "depth",
        "limit", "passage_tokens", "input_order", "seed", "price_in", "price_out",
    )  # fmt: skip
    return {
        "settings": {name: getattr(job, name) for name in named},
        "queries": len(candidates),
        "documents": sum(len(one.documents) for one in candidates),
        "one_passage_at_a_time": not meter.ordered,
        "skipped_documents": supply.skipped,
        "grades": str(source) if source else "invented",
        "unjudged_queries": len(first) - len(truths[0]) if source else 0,
        "seeds": seeds,
        "judge_model": str(judge_model) if judge_model else None,
        "calibration": speed._asdict() if speed else None,
        "tokens_guessed": job.server is not None and speed is None,
        "first_stage": before,
        "methods": sorted(rows, key=lambda row: (row["comparisons"], row["rounds"])),
    }


def _truths(
    source: Path | None,
    first: Mapping[str, Sequence[str]],
    candidates: Sequence[Candidates],
    seeds: Sequence[int],
) -> list[Qrels]:
    """The grades of the planned queries: as known, or once a seed as they might be."""
    if source is None:
        return [{one.query.id: invented_grades(one, seed) for one in candidates} for seed in seeds]
    known = read_qrels(source)
    if not known.keys() & first.keys():
        raise InputError(f"{source}: no grades for any of the run's {len(first)} queries")
    return [{query: known[query] for query in first if query in known}]


async def _speed(meter: Meter, candidates: Sequence[Candidates], job: Job) -> Speed | None:
    try:
        return await calibrate(meter, candidates, job)
    finally:
        if job.server is not None:
            await cast(AsyncLanguageModel, meter.model).close()


def _meters(job: Job, prompt: Prompt | None, model: Any) -> dict[QuestionKind, Meter]:
    """By kind of question; each with the job's prompt where it serves, else the kind's default."""
    meters = {}
    for kind in {one.question: None for one in METHODS.values()}:
        chosen = prompt
        if prompt and not serves(prompt, kind):
            chosen = load_prompt(default_prompt(kind, embedded=job.model == Job.model))
        meters[kind] = Meter(job, kind, chosen, model)
    return meters


def _tops(rankings: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    return {query: names[:_TOP] for query, names in rankings.items()}


class _Watched:
    """A judge whose rounds are counted, and what is new in them."""

    def __init__(
        self,
        judge: Callable[[Sequence[Any]], Sequence[Any]],
        parts: Callable[[Question], tuple[Hashable, ...]],
    ) -> None:
        self._judge, self._parts = judge, parts
        self.comparisons = self.new_rounds = 0
        self.asked: dict[Hashable, Question] = {}

    def __call__(self, questions: Sequence[Question]) -> Sequence[Any]:
        before = len(self.asked)
        for question in questions:
            for part in self._parts(question):
                self.asked.setdefault(part, question)
        self.comparisons += len(questions)
        self.new_rounds += len(self.asked) > before
        return self._judge(questions)


@dataclass
class _Count:
    """What a simulation over all queries asked; queries share their rounds."""

    comparisons: int = 0
    prompts: int = 0
    tokens: int = 0
    written: int = 0
    rounds: int = 0
    new_rounds: int = 0


class _Simulation:
    """One method before judges that err more or less often."""

    def __init__(
        self,
        job: Job,
        name: str,
        judges: Mapping[str, ErrorModel],
        trials: Sequence[tuple[str, int]],
        first: Mapping[str, Sequence[str]],
        meter: Meter,
        advance: Callable[[int], None],
    ) -> None:
        self._job, self._name, self._judges, self._first = job, name, judges, first
        self._meter, self._advance = meter, advance
        self._ranker = job.ranker(name)
        # What is not reranked stays as it was.
        self._runs = {trial: as_run(_tops(first)) for trial in trials}
        self._priced = _SIMULATED if _SIMULATED in judges else "0.0"
        self._counts = {number: _Count() for judge, number in trials if judge == self._priced}

    def run(self, candidates: Candidates, grades: Sequence[Mapping[str, int]]) -> None:
        """Ranks a query's candidates in every trial; ``grades`` are known, or one a seed."""
        query, seed = candidates.query.id, self._job.seed
        for (name, number), run in self._runs.items():
            judge: Any = make_oracle(
                self._meter.kind,
                {query: grades[number % len(grades)]},
                self._judges[name],
                order=self._job.order,
                decide=self._job.decide or "agreement",
                seed=seed + number,
                on_judged=self._advance,
            )
            if name == self._priced:
                judge = watched = _Watched(judge, self._meter.parts)
            ranked = rerank(
                [candidates],
                judge,
                self._ranker,
                question=self._meter.kind,
                input_order=self._job.input_order,
                seed=seed,
            )
            run.update(
                as_run(_tops({query: insert_reranked(self._first[query], ranked.rankings[query])}))
            )
            if name == self._priced:
                self._add(self._counts[number], watched, ranked.rounds)

    def _add(self, count: _Count, watched: _Watched, rounds: int) -> None:
        price = self._meter.price(watched.asked)
        count.comparisons += watched.comparisons
        count.prompts += price.prompts
        count.tokens += price.tokens or 0
        count.written += price.written or 0
        count.rounds = max(count.rounds, rounds)
        count.new_rounds = max(count.new_rounds, watched.new_rounds)

    def row(self, measure: Measure, truths: Sequence[Qrels], speed: Speed | None) -> dict[str, Any]:
        """What there is to say of the method."""

        def mean(name: str) -> int:
            return round(fmean(getattr(count, name) for count in self._counts.values()))

        reached: dict[str, list[float]] = {name: [] for name in self._judges}
        for (name, number), run in self._runs.items():
            reached[name].append(measure(run, truths[number % len(truths)]))
        tokens, written = (mean("tokens"), mean("written")) if self._meter.model else (None, None)
        if speed and tokens is not None:
            tokens, written = round(tokens * speed.scale), round(mean("prompts") * speed.written)
        priced = tokens is not None and (self._job.price_in or self._job.price_out)
        return {
            "method": self._name,
            "question": QUESTION_NOUNS[self._meter.kind],
            "prompt": self._meter.prompt.name if self._meter.prompt else None,
            "comparisons": mean("comparisons"),
            "prompts": mean("prompts"),
            "rounds": mean("rounds"),
            "tokens": tokens,
            "written_tokens": written,
            "seconds": speed.seconds_for(tokens or 0, mean("new_rounds")) if speed else None,
            "cost": self._job.budget.price(Costs(tokens=tokens or 0, written=written or 0))
            if priced
            else None,
            "quality": {name: fmean(found) for name, found in reached.items()},
            "deviation": {name: pstdev(found) for name, found in reached.items()},
        }
