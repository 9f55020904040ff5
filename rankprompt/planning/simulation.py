"""Simulates a ranking method before judges that err, and counts what it asks."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev
from typing import Any, NamedTuple, TypeAlias

from rankprompt.journal.costs import Costs
from rankprompt.judges.registry import make_oracle
from rankprompt.judges.simulated.error_model import ErrorModel
from rankprompt.pipeline.candidate_source import BLOCK
from rankprompt.pipeline.job import RerankJob
from rankprompt.planning.calibration import Speed
from rankprompt.planning.prices import PriceMeter
from rankprompt.rankers import method
from rankprompt.rankers.reranking import as_run, insert_reranked, rerank
from rankprompt.types import QUESTION_NOUNS, Candidates, Qrels, Question, Run

__all__ = [
    "NOISES", "SIMULATED", "Measure", "MethodPlan", "Simulation", "Trial", "judges_of", "top_ranks",
    "trials_of",
]  # fmt: skip

NOISES = (0.0, 0.1, 0.2)
"""How often the simulated judge errs, where no other judge is asked for."""

Measure: TypeAlias = Callable[[Run, Qrels], float]
"""The quality of a run, higher is better."""

SIMULATED = "simulated"
"""The name of the judge that the user asked for."""

_TOP = 10  # as deep as nDCG@10 reads


class Trial(NamedTuple):
    """A simulation: by which judge, and the how many-th."""

    judge: str
    number: int


class MethodPlan(NamedTuple):
    """What a method would ask and reach, over all queries.

    ``comparisons`` counts questions of the method's kind, ``prompts`` those that the journal would
    not answer, ``rounds`` those of the query with the most. ``tokens``, ``seconds`` and ``cost``
    are None where they are not known. ``waits`` counts the batches that wait for one another where
    the batch API is asked, and is None elsewhere; ``seconds`` is None there. ``quality`` and
    ``deviation`` are by judge: the share of wrong answers, or "simulated".
    """

    method: str
    question: str
    prompt: str | None
    comparisons: int
    prompts: int
    rounds: int
    tokens: int | None
    written_tokens: int | None
    seconds: float | None
    waits: int | None
    cost: float | None
    quality: dict[str, float]
    deviation: dict[str, float]


def judges_of(errors: ErrorModel | None) -> dict[str, ErrorModel]:
    """How the simulated judges err, by name: as asked for, or more and less often."""
    if errors:
        return {"0.0": ErrorModel(), SIMULATED: errors}
    return {str(noise): ErrorModel((noise,)) for noise in NOISES}


def trials_of(judges: Mapping[str, ErrorModel], truths: int, seeds: int) -> list[Trial]:
    """The simulations to run: a judge without errors needs one for each version of the grades."""
    return [
        Trial(name, number)
        for name in judges
        for number in range(truths if name == "0.0" else seeds)
    ]


def top_ranks(rankings: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    """The first ten documents of each ranking."""
    return {query: names[:_TOP] for query, names in rankings.items()}


class _CountingJudge:
    """A judge whose questions and rounds are counted, and the new ones among them."""

    def __init__(
        self,
        judge: Callable[[Sequence[Any]], Sequence[Any]],
        parts: Callable[[Question], tuple[Hashable, ...]],
    ) -> None:
        self._judge, self._parts = judge, parts
        self.questions = self.new_rounds = 0
        self.asked: dict[Hashable, Question] = {}

    def __call__(self, questions: Sequence[Question]) -> Sequence[Any]:
        before = len(self.asked)
        for question in questions:
            for part in self._parts(question):
                self.asked.setdefault(part, question)
        self.questions += len(questions)
        self.new_rounds += len(self.asked) > before
        return self._judge(questions)


@dataclass
class _Counts:
    """What a simulation asked over all queries; queries share their rounds."""

    questions: int = 0
    prompts: int = 0
    tokens: int = 0
    written: int = 0
    rounds: int = 0
    new_rounds: int = 0


class Simulation:
    """One method before judges that err more or less often.

    Args:
        job: a validated job.
        name: the method.
        order: "both" or "single", as in ``PairwiseOracle``.
        judges: how the judges err, by name.
        trials: the simulations to run.
        first_stage: the first stage's rankings by query.
        meter: prices the method's kind of question.
        on_judged: called with the number of questions judged.
    """

    def __init__(
        self,
        job: RerankJob,
        name: str,
        *,
        order: str,
        judges: Mapping[str, ErrorModel],
        trials: Sequence[Trial],
        first_stage: Mapping[str, Sequence[str]],
        meter: PriceMeter,
        on_judged: Callable[[int], None],
    ) -> None:
        self._job, self._name, self._order, self._judges = job, name, order, judges
        self._first_stage, self._meter, self._on_judged = first_stage, meter, on_judged
        self._ranker = method(name).bind(job.settings)
        # Documents that are not reranked stay as they were.
        self._runs = {trial: as_run(top_ranks(first_stage)) for trial in trials}
        self._priced = SIMULATED if SIMULATED in judges else "0.0"
        self._counts = {trial: _Counts() for trial in trials if trial.judge == self._priced}

    def run(self, candidates: Candidates, grades: Sequence[Mapping[str, int]]) -> None:
        """Ranks a query's candidates in every trial; ``grades`` are known, or one for each seed."""
        for trial in self._runs:
            self.rank(trial, candidates, grades, self._first_stage[candidates.query.id])

    def rank(
        self,
        trial: Trial,
        candidates: Candidates,
        grades: Sequence[Mapping[str, int]],
        before: Sequence[str],
    ) -> list[str]:
        """Ranks a query's candidates in one trial.

        Args:
            trial: the trial.
            candidates: the documents that are reranked.
            grades: as in ``run``.
            before: the ids of all documents, as the stage before ranked them.

        Returns:
            The ids of all documents, best first.
        """
        query, config = candidates.query.id, self._job.config
        judge: Any = make_oracle(
            self._meter.kind,
            {query: grades[trial.number % len(grades)]},
            self._judges[trial.judge],
            order=self._order,
            decide=config.judge.decide or "agreement",
            seed=config.seed + trial.number,
            on_judged=self._on_judged,
        )
        if trial in self._counts:
            judge = _CountingJudge(judge, self._meter.parts)
        ranked = rerank(
            [candidates],
            judge,
            self._ranker,
            question=self._meter.kind,
            input_order=config.ranker.input_order,
            seed=config.seed,
        )
        ranking = insert_reranked(before, ranked.rankings[query])
        self._runs[trial].update(as_run(top_ranks({query: ranking})))
        if trial in self._counts:
            self._add(self._counts[trial], judge, ranked.rounds)
        return ranking

    def _add(self, counts: _Counts, judge: _CountingJudge, rounds: int) -> None:
        price = self._meter.price(judge.asked)
        counts.questions += judge.questions
        counts.prompts += price.prompts
        counts.tokens += price.tokens or 0
        counts.written += price.written or 0
        counts.rounds = max(counts.rounds, rounds)
        counts.new_rounds = max(counts.new_rounds, judge.new_rounds)

    def result(self, measure: Measure, truths: Sequence[Qrels], speed: Speed | None) -> MethodPlan:
        """The plan of the method, the mean over its trials."""

        def mean(name: str) -> int:
            return round(fmean(getattr(counts, name) for counts in self._counts.values()))

        quality: dict[str, list[float]] = {name: [] for name in self._judges}
        for trial, run in self._runs.items():
            quality[trial.judge].append(measure(run, truths[trial.number % len(truths)]))
        tokens, written = (mean("tokens"), mean("written")) if self._meter.model else (None, None)
        if speed and tokens is not None:
            tokens, written = round(tokens * speed.scale), round(mean("prompts") * speed.written)
        budget = self._job.budget
        priced = tokens is not None and (budget.price_in or budget.price_out)
        waits, rounds = None, mean("new_rounds")
        if self._job.config.model.batch_api:
            waits, speed = rounds * -(-len(self._first_stage) // BLOCK), None
        return MethodPlan(
            method=self._name,
            question=QUESTION_NOUNS[self._meter.kind],
            prompt=self._meter.prompt.name if self._meter.prompt else None,
            comparisons=mean("questions"),
            prompts=mean("prompts"),
            rounds=mean("rounds"),
            tokens=tokens,
            written_tokens=written,
            seconds=speed.seconds_for(tokens or 0, rounds) if speed else None,
            waits=waits,
            cost=budget.price(Costs(tokens=tokens or 0, written=written or 0)) if priced else None,
            quality={name: fmean(values) for name, values in quality.items()},
            deviation={name: pstdev(values) for name, values in quality.items()},
        )
