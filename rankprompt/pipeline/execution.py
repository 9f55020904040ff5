"""The ways to have candidates judged: by an oracle, a model, a teacher, a server, a cluster."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from rankprompt.cascade import Cascade
from rankprompt.cascade.teachers import aggregate_of, load_teacher
from rankprompt.cascade.window_scores import WindowScores
from rankprompt.journal.cached_model import CachedModel, ConcurrentCachedModel
from rankprompt.journal.costs import Costs
from rankprompt.journal.store import Journal
from rankprompt.llm import load_model, load_server
from rankprompt.pipeline.blocks import Outcome, ask, ask_oracle, ask_server
from rankprompt.pipeline.config import Job
from rankprompt.prompts.prompt import Prompt
from rankprompt.types import Candidates, Qrels

__all__ = ["Work"]


class Card(NamedTuple):
    """What a teacher is known by."""

    name: str
    fingerprint: str


class Work:
    """A job's candidates, to be judged part by part.

    Args:
        job: resolved.
        parts: the candidates, drawn as they are needed; a query is in one part only.
        comparisons: about how many there will be.
        show: opens a progress bar; called once the judge is ready, which may have something to say.
        keep: called with the rankings (document ids, best first, by query id) as they are done.
    """

    def __init__(
        self,
        job: Job,
        parts: Iterable[Sequence[Candidates]],
        comparisons: int,
        *,
        show: Callable[[str, int], Callable[[int], None]],
        keep: Callable[[Mapping[str, list[str]]], None],
    ) -> None:
        self._job, self._parts, self._total = job, parts, comparisons
        self._show, self._keep = show, keep

    def ask_oracle(self, qrels: Qrels) -> Outcome:
        """Judges by the grades."""
        whole = Outcome()
        progress = self._progress("an oracle")
        for part in self._parts:
            judged = ask_oracle(part, qrels, self._job, progress)
            whole.take(judged)
            self._keep(judged.rankings)
        return whole

    def ask_model(self, prompt: Prompt, journal: Journal) -> Outcome:
        """Asks a model on this machine."""
        job = self._job
        model = load_model(job.model, **job.loading)
        answering = CachedModel(model, journal, job.budget)
        whole = Outcome(model=model, costs=answering.costs)
        progress = self._progress(Path(job.model).name)
        for part in self._parts:
            judged = ask(part, answering, job, prompt, progress)
            whole.take(judged)
            self._keep(judged.rankings)
        return whole

    def ask_teacher(self, prompt: Prompt | None, journal: Journal, cascade: Cascade) -> Outcome:
        """Has a teacher score the windows that the cascade's student chooses."""
        job = self._job
        name = job.teacher or ""
        answering = None
        if prompt:
            answering = CachedModel(load_model(job.model, **job.loading), journal, job.budget)
        teacher = load_teacher(name, prompt=job.prompt or "", model=answering)
        scores = WindowScores(journal, teacher, teacher.fingerprint)
        aggregate = aggregate_of(name, job.aggregate or "")
        card = Card(name, teacher.fingerprint)
        whole = Outcome(model=card, costs=answering.costs if answering else Costs())
        progress = self._progress(Path(job.model if prompt else name).name)
        for part in self._parts:
            for one in part:
                if teacher.cuts(one.query.text):
                    cascade.counts.queries_cut.add(one.query.id)
                ranked = cascade.teacher_scores([one], scores, aggregate)
                self._keep({query: list(found) for query, found in ranked.items()})
                progress(len(one.documents))
        cascade.counts.windows_cut = teacher.windows_cut
        if answering is None:
            whole.costs.prompts, whole.costs.tokens = scores.asked, teacher.tokens
        whole.costs.prompts_from_journal += scores.kept
        return whole

    async def ask_server(self, prompt: Prompt, journal: Journal) -> Outcome:
        """Asks a model behind a server, many calls at a time."""
        job = self._job
        model = load_server(job.server or "", base_url=job.base_url or "")
        try:
            answering = ConcurrentCachedModel(
                model, journal, job.budget, concurrency=job.concurrency
            )
            whole = Outcome(model=model, costs=answering.costs)
            progress = self._progress(Path(job.model).name)
            for part in self._parts:
                judged = await ask_server(part, answering, job, prompt, progress)
                whole.take(judged)
                self._keep(judged.rankings)
        finally:
            await model.close()
        return whole

    def ask_cluster(self, prompt: Prompt, journal: Journal) -> Outcome:
        """Asks models on the workers of a Ray cluster."""
        from rankprompt.pipeline.ray import Cluster, WorkerSettings, scale_out

        job = self._job
        return scale_out(
            chain.from_iterable(self._parts),
            WorkerSettings(job, prompt),
            journal,
            Cluster(job.ray or "local", job.workers, gpus_per_worker=job.gpus_per_worker),
            keep=self._keep,
            on_judged=self._progress(f"{Path(job.model).name} on {job.workers} workers"),
        )

    def _progress(self, judge: str) -> Callable[[int], None]:
        return self._show(f"{self._job.method} with {judge}", self._total)
