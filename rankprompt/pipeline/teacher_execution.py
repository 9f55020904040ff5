"""The way to rank a job's candidates by a cascade's teacher, which scores windows."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from rankprompt.cascade import Cascade
from rankprompt.cascade.teachers import aggregate_of, load_teacher
from rankprompt.cascade.window_scores import WindowScores
from rankprompt.journal.cached_model import CachedModel
from rankprompt.pipeline.execution import Execution, OnJudged, load_local
from rankprompt.pipeline.job import RerankJob
from rankprompt.pipeline.results import BlockResult, ModelCard
from rankprompt.pipeline.scoring import teacher_probability
from rankprompt.rankers.scores import DocumentScore, follow_ranking
from rankprompt.types import Candidates

__all__ = ["TeacherExecution"]


class TeacherExecution(Execution):
    """Ranks by a teacher's scores of the windows that the cascade's student selects."""

    def __init__(self, job: RerankJob, cascade: Cascade) -> None:
        super().__init__(job)
        self._cascade = cascade

    def _open(self, stack: ExitStack) -> None:
        job = self._job
        journal = self._open_journal(stack)
        cached = None
        if job.prompt:
            cached = self._count(CachedModel(load_local(job), journal, job.budget))
        self._is_language_model = cached is not None
        prompt = job.prompt or ""
        self._teacher = load_teacher(job.model, prompt=prompt, model=cached, guard=self.guard)
        self._scores = WindowScores(journal, self._teacher, self._teacher.fingerprint)
        self._aggregate = aggregate_of(job.model, job.config.cascade.aggregate or "")
        self.model = ModelCard(job.model, self._teacher.fingerprint)

    def rerank(
        self, candidates: Sequence[Candidates], on_judged: OnJudged
    ) -> Iterator[BlockResult]:
        """Ranks one query after the other, and gives a result for each."""
        counts, probability = self._cascade.counts, teacher_probability(self._job)
        for query in candidates:
            if self._teacher.cuts(query.query.text):
                counts.queries_cut.add(query.query.id)
            before = self._scores.cache_hits
            ranked = self._cascade.teacher_scores([query], self._scores, self._aggregate)
            self.costs.prompts_from_journal += self._scores.cache_hits - before
            if not self._is_language_model:
                self.costs.prompts, self.costs.tokens = (
                    self._scores.teacher_calls,
                    self._teacher.tokens,
                )
            counts.windows_cut = self._teacher.windows_cut
            values = ranked[query.query.id]
            scores = {name: DocumentScore(probability(one), one) for name, one in values.items()}
            ranking = list(values)
            yield BlockResult(
                {query.query.id: ranking},
                scores={query.query.id: follow_ranking(ranking, scores)},
            )
            on_judged(len(query.documents))
