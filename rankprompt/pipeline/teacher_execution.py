"""The way to rank a job's candidates by a cascade's teacher, which scores windows."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from rankprompt.cascade import Cascade
from rankprompt.cascade.teachers import ModelTeacher, aggregate_of, is_served, load_teacher
from rankprompt.cascade.window_scores import BATCH, WindowScores
from rankprompt.journal.cached_model import CachedModel, ConcurrentCachedModel
from rankprompt.judges.base import CHUNK
from rankprompt.judges.guard import AnswerGuard
from rankprompt.pipeline.execution import Execution, OnJudged, open_server
from rankprompt.pipeline.job import RerankJob
from rankprompt.pipeline.model_access import ModelAccess
from rankprompt.pipeline.results import BlockResult, ModelCard, server_card
from rankprompt.pipeline.scoring import teacher_probability
from rankprompt.rankers.scores import DocumentScore, follow_ranking
from rankprompt.types import Candidates

__all__ = ["TeacherExecution"]


class TeacherExecution(Execution):
    """Ranks by a teacher's scores of the windows that the cascade's student selects."""

    def __init__(self, job: RerankJob, cascade: Cascade, models: ModelAccess | None = None) -> None:
        super().__init__(job, models)
        self._cascade = cascade
        # A teacher says for itself what a refused window means: no other answer stands in for it.
        self.guard = AnswerGuard(keep_going=job.config.judge.keep_going, skip_refused=True)

    def _open(self, stack: ExitStack) -> None:
        job = self._job
        journal = self._open_journal(stack)
        cached: CachedModel | ConcurrentCachedModel | None = None
        card, runner, batch = ModelCard(job.model, ""), None, BATCH
        if is_served(job.model):
            runner, server = open_server(job, self._models, journal, stack)
            cached, card = self._count(server), server_card(server)
            batch = CHUNK  # a call holds many windows, and there are many calls at a time
        elif job.prompt:
            cached = self._count(CachedModel(self._models.local(job, stack), journal, job.budget))
        self._is_asked = cached is not None

        def load() -> ModelTeacher:
            return load_teacher(
                job.model, prompt=job.prompt or "", model=cached, guard=self.guard, runner=runner
            )

        self._teacher = load() if self._is_asked else self._models.teacher(job, load, stack)
        self._tokens_before = self._teacher.tokens
        self._windows_cut_before = self._teacher.windows_cut
        fingerprint = self._teacher.fingerprint
        self._scores = WindowScores(journal, self._teacher, fingerprint, batch=batch)
        self._aggregate = aggregate_of(job.model, job.config.cascade.aggregate or "")
        self.model = card._replace(name=job.model, fingerprint=fingerprint)

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
            if not self._is_asked:
                self.costs.prompts, self.costs.tokens = (
                    self._scores.teacher_calls,
                    self._teacher.tokens - self._tokens_before,
                )
            counts.windows_cut = self._teacher.windows_cut - self._windows_cut_before
            values = ranked[query.query.id]
            scores = {name: DocumentScore(probability(one), one) for name, one in values.items()}
            ranking = list(values)
            yield BlockResult(
                {query.query.id: ranking},
                scores={query.query.id: follow_ranking(ranking, scores)},
            )
            on_judged(len(query.documents))
