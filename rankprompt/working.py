"""The ways to have candidates judged: by an oracle, a local model, a server, a cluster."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rankprompt.answering import Answering, AsyncAnswering, Costs
from rankprompt.journal import Journal
from rankprompt.judges import AsyncPairwiseJudge, Judge, OracleJudge, PairwiseJudge
from rankprompt.models import load_model, load_server
from rankprompt.prior import AsyncPriorJudge, PriorJudge
from rankprompt.prompt import Prompt
from rankprompt.readings import reading
from rankprompt.records import Candidates, Qrels
from rankprompt.reranking import Reranked, arerank, rerank
from rankprompt.settings import Job
from rankprompt.sorting import method

__all__ = ["Outcome", "Work"]


@dataclass(frozen=True)
class Outcome:
    """What came of it, whoever judged.

    Attributes:
        rankings: document ids, best first, by query id.
        rounds: asked one after the other, of the query that had the most.
        asked: comparisons that cost at least one prompt.
        from_journal: comparisons that cost nothing.
        unasked: comparisons that the budget did not reach.
        cut: passages cut to fit.
        diagnostics: as ``Diagnostics.summary``.
        model: has a name, a fingerprint and a context length; None for an oracle.
        costs: of the model; None for an oracle.
        replaced: workers that died, each replaced by another.
    """

    rankings: dict[str, list[str]]
    rounds: int
    asked: int
    from_journal: int = 0
    unasked: int = 0
    cut: int = 0
    diagnostics: dict[str, Any] = field(default_factory=dict)
    model: Any = None
    costs: Costs | None = None
    replaced: int = 0


class Work:
    """A job's candidates, to be judged.

    Args:
        job: resolved.
        candidates: to rerank.
        show: opens a progress bar; called once the judge is ready, which may have something to say.
    """

    def __init__(
        self,
        job: Job,
        candidates: Sequence[Candidates],
        show: Callable[[str, int], Callable[[int], None]],
    ) -> None:
        self._job, self._candidates, self._show = job, candidates, show
        name = job.method or ""
        self._ranker = job.ranker(name)
        estimate, passes = method(name).estimate, job.passes or job.k
        self._total = sum(estimate(len(one.documents), job.k, passes) for one in candidates)
        self._order: dict[str, Any] = {"input_order": job.input_order, "seed": job.seed}

    def ask_oracle(self, qrels: Qrels) -> Outcome:
        """Judges by the grades."""
        job = self._job
        judge = OracleJudge(
            qrels, noise=job.noise, seed=job.seed, on_judged=self._progress("an oracle")
        )
        rankings, rounds = self._rerank(judge)
        return Outcome(rankings, rounds, judge.asked, diagnostics=judge.diagnostics.summary())

    def ask_model(self, prompt: Prompt, journal: Journal) -> Outcome:
        """Asks a model on this machine."""
        job = self._job
        model = load_model(job.model, **job.loading)
        answering = Answering(model, journal, job.budget)
        judge = PairwiseJudge(answering, reading(prompt, job.mode), **self._judging())
        return self._outcome(judge, answering, self._rerank(judge))

    async def ask_server(self, prompt: Prompt, journal: Journal) -> Outcome:
        """Asks a model behind a server, many calls at a time."""
        job = self._job
        model = load_server(job.server or "", base_url=job.base_url or "")
        try:
            answering = AsyncAnswering(model, journal, job.budget, concurrency=job.concurrency)
            judge = AsyncPairwiseJudge(answering, reading(prompt, job.mode), **self._judging())
            ranked = await arerank(
                self._candidates,
                AsyncPriorJudge(judge, self._candidates, job.prior or 0.0),
                self._ranker,
                queries=2 * job.concurrency,
                **self._order,
            )
        finally:
            await model.close()
        return self._outcome(judge, answering, ranked)

    def ask_cluster(self, prompt: Prompt, journal: Journal) -> Outcome:
        """Asks models on the workers of a Ray cluster."""
        from rankprompt.scaleout import Cluster, WorkerSettings, scale_out

        job = self._job
        far = scale_out(
            self._candidates,
            WorkerSettings(job, prompt),
            journal,
            Cluster(job.ray or "local", job.workers, gpus_per_worker=job.gpus_per_worker),
            self._progress(f"{Path(job.model).name} on {job.workers} workers"),
        )
        return Outcome(
            far.rankings,
            far.rounds,
            far.asked,
            far.from_journal,
            cut=far.cut,
            diagnostics=far.diagnostics,
            model=far.model,
            costs=far.costs,
            replaced=far.replaced,
        )

    def _outcome(
        self,
        judge: PairwiseJudge | AsyncPairwiseJudge,
        answering: Answering | AsyncAnswering,
        ranked: Reranked,
    ) -> Outcome:
        return Outcome(
            ranked.rankings,
            ranked.rounds,
            judge.asked,
            judge.from_journal,
            judge.unasked,
            len(judge.cut),
            judge.diagnostics.summary(),
            answering.model,
            answering.costs,
        )

    def _judging(self) -> dict[str, Any]:
        # A path would push the numbers off the terminal's edge.
        shown = Path(self._job.model).name
        return {**self._job.judging, "on_judged": self._progress(shown)}

    def _progress(self, judge: str) -> Callable[[int], None]:
        return self._show(f"{self._job.method} with {judge}", self._total)

    def _rerank(self, judge: Judge) -> Reranked:
        prior = PriorJudge(judge, self._candidates, self._job.prior or 0.0)
        return rerank(self._candidates, prior, self._ranker, **self._order)
