"""The ways to rerank a job's candidates by questions: to an oracle, a local model or a server."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self, TypeAlias, TypeVar, cast

from rankprompt.files import read_qrels
from rankprompt.journal.budget import Budget
from rankprompt.journal.cached_model import CachedModel, ConcurrentCachedModel, Runner
from rankprompt.journal.call_limit import CallLimit, most_calls
from rankprompt.journal.costs import Costs
from rankprompt.journal.store import Journal
from rankprompt.judges.first_stage_prior import FirstStagePrior
from rankprompt.judges.guard import AnswerGuard
from rankprompt.judges.registry import LanguageModelJudge, Oracle, make_judge, make_oracle
from rankprompt.judges.simulated.grade_coverage import GradeCoverage
from rankprompt.pipeline.job import RerankJob
from rankprompt.pipeline.model_access import ModelAccess, OwnModels
from rankprompt.pipeline.results import (
    BlockResult,
    ModelCard,
    judged_by,
    model_card,
    server_card,
)
from rankprompt.pipeline.scoring import check_calibration, probability_of
from rankprompt.rankers.reranking import Adjust, Reranked, rerank, rerank_concurrently
from rankprompt.types import Candidates, Judgment, PairwiseQuestion, Question

if TYPE_CHECKING:
    from rankprompt.llm.openai.batches.model import BatchModel

__all__ = [
    "Execution",
    "LocalExecution",
    "Observe",
    "OnJudged",
    "OracleExecution",
    "ServerExecution",
    "make_guard",
    "open_server",
    "rerank_locally",
]

OnJudged: TypeAlias = Callable[[int], None]
Observe: TypeAlias = Callable[[Sequence[Question], Sequence[Judgment]], None]
M = TypeVar("M", CachedModel, ConcurrentCachedModel)

# Requests in batches at a time: two full batches, in about 2 GB of memory (19 KB each).
_MOST_IN_BATCHES = 100_000


def open_server(
    job: RerankJob, models: ModelAccess, journal: Journal, stack: ExitStack
) -> tuple[Runner, ConcurrentCachedModel]:
    """Connects to the server of a job; the stack closes the connections.

    Returns:
        What runs the calls, and the model behind the journal and the job's budget.
    """
    runner, model, calls = models.server(job, stack)
    if job.config.model.batch_api:
        calls = CallLimit(_MOST_IN_BATCHES)
    return runner, ConcurrentCachedModel(model, journal, job.budget, concurrency=calls)


def make_guard(job: RerankJob) -> AnswerGuard:
    """The guard of a job's judges."""
    judge = job.config.judge
    return AnswerGuard(keep_going=judge.keep_going, skip_refused=judge.skip_refused)


def rerank_locally(
    candidates: Sequence[Candidates],
    model: CachedModel,
    job: RerankJob,
    guard: AnswerGuard,
    on_judged: OnJudged,
    observe: Observe | None = None,
) -> BlockResult:
    """Reranks candidates by a local model behind its journal."""
    judge = _judge(job, model, guard, on_judged)
    return judged_by(judge, _rerank(candidates, judge, job, observe))


class Execution(ABC):
    """Reranks candidates, with a model that is loaded once: as a context, it opens and closes it.

    Args:
        job: the job.
        models: how it gets at its model and its journal.

    Attributes:
        observe: is told of each round of questions and the answers that the ranker receives; None
            where nobody asks.
        model: the model that judges; None for an oracle.
        costs: what has been asked of the model.
        guard: stops the run where the model's answers cannot be read.
        workers_replaced: the workers of a cluster that died, each replaced by another.
    """

    def __init__(self, job: RerankJob, models: ModelAccess | None = None) -> None:
        self._job, self._stack, self._models = job, ExitStack(), models or OwnModels()
        self.observe: Observe | None = None
        self.model: ModelCard | None = None
        self.costs = Costs()
        self.guard = make_guard(job)
        self.workers_replaced = 0
        self._asked: CachedModel | ConcurrentCachedModel | None = None

    def __enter__(self) -> Self:
        """Loads what is needed; where that fails, what was opened is closed."""
        with ExitStack() as stack:
            self._open(stack)
            check_calibration(self._job, self.model)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Closes what was opened."""
        self._stack.close()

    @abstractmethod
    def rerank(
        self, candidates: Sequence[Candidates], on_judged: OnJudged
    ) -> Iterator[BlockResult]:
        """Reranks the candidates of some queries, and gives results as queries finish.

        Args:
            candidates: queries with their documents, best first.
            on_judged: called with the number of questions judged since the last call.
        """

    def limit(self, budget: Budget) -> None:
        """Replaces the budget of the job; what has been spent counts."""
        if self._asked:
            self._asked.budget = budget

    def finish(self) -> None:
        """Checks, after the last query, that what was answered made a ranking."""
        self.guard.finish()

    @abstractmethod
    def _open(self, stack: ExitStack) -> None:
        """Loads what is needed."""

    def _open_journal(self, stack: ExitStack) -> Journal:
        return self._models.journal(self._job.config.output.journal, stack)

    def _count(self, cached: M) -> M:
        """Counts the costs of a model, and keeps it to the budget."""
        self._asked, self.costs = cached, cached.costs
        return cached


class OracleExecution(Execution):
    """Reranks by relevance grades."""

    def _open(self, stack: ExitStack) -> None:
        del stack
        self._qrels = read_qrels(self._job.qrels)
        self._coverage = GradeCoverage(self._job.qrels, self._qrels)

    def rerank(
        self, candidates: Sequence[Candidates], on_judged: OnJudged
    ) -> Iterator[BlockResult]:
        """Reranks all candidates, and gives one result."""
        self._coverage.add(candidates)
        job, judging = self._job, self._job.config.judge
        judge = make_oracle(
            job.question, self._qrels, job.errors, order=judging.order,
            decide=judging.decide or "agreement", seed=job.config.seed, on_judged=on_judged,
        )  # fmt: skip
        yield judged_by(judge, _rerank(candidates, judge, job, self.observe))

    def finish(self) -> None:
        """Refuses grades of other queries, by which no order would change."""
        self._coverage.finish()


class LocalExecution(Execution):
    """Reranks by a model on this machine."""

    def _open(self, stack: ExitStack) -> None:
        journal = self._open_journal(stack)
        model = self._models.local(self._job, stack)
        self.model = model_card(model)
        self._cached = self._count(CachedModel(model, journal, self._job.budget))

    def rerank(
        self, candidates: Sequence[Candidates], on_judged: OnJudged
    ) -> Iterator[BlockResult]:
        """Reranks all candidates in lock-step, and gives one result."""
        yield rerank_locally(
            candidates, self._cached, self._job, self.guard, on_judged, self.observe
        )
        self.model = model_card(self._cached.model)  # which counts the queries that it truncated


class ServerExecution(Execution):
    """Reranks by a model behind a server; queries run independently, many calls at a time."""

    def _open(self, stack: ExitStack) -> None:
        self._runner, cached = open_server(
            self._job, self._models, self._open_journal(stack), stack
        )
        self._cached = self._count(cached)
        self.model = server_card(cached)

    def rerank(
        self, candidates: Sequence[Candidates], on_judged: OnJudged
    ) -> Iterator[BlockResult]:
        """Reranks all candidates concurrently, and gives one result."""
        job, config = self._job, self._job.config
        judge = _judge(job, self._cached, self.guard, on_judged)
        queries = 2 * most_calls(config.model.concurrency)
        if config.model.batch_api:  # the rounds of all queries share batches
            judge.chunk, queries = _MOST_IN_BATCHES, len(candidates)
        ranking = rerank_concurrently(
            candidates,
            judge.ask_concurrently,
            job.ranker,
            question=job.question,
            adjust=_adjust(candidates, job, self.observe),
            input_order=config.ranker.input_order,
            seed=config.seed,
            probability=probability_of(job, judge),
            concurrency=queries,
        )
        result = judged_by(judge, self._runner.run(ranking))
        self.model = server_card(self._cached)  # how it answers is found out by asking
        yield result

    def finish(self) -> None:
        """As ``Execution.finish``; a whole run has no use for batches that it did not ask for."""
        super().finish()
        if self._job.config.model.batch_api and not self._job.budget.limited:
            cast("BatchModel", self._cached.model).forget_unread()


def _judge(
    job: RerankJob,
    model: CachedModel | ConcurrentCachedModel,
    guard: AnswerGuard,
    on_judged: OnJudged,
) -> LanguageModelJudge:
    assert job.prompt is not None, "a language model is asked by a prompt"
    judge = job.config.judge
    model.begin_block()
    return make_judge(
        job.question,
        model,
        job.prompt,
        mode=judge.mode,
        order=judge.order,
        decide=judge.decide or "agreement",
        seed=job.config.seed,
        guard=guard,
        passage_tokens=judge.passage_tokens,
        on_judged=on_judged,
    )


def _rerank(
    candidates: Sequence[Candidates],
    judge: LanguageModelJudge | Oracle,
    job: RerankJob,
    observe: Observe | None,
) -> Reranked:
    """Reranks in lock-step, so that the rounds of all queries fill the judge's batches."""
    ask: Callable[[Sequence[Any]], Sequence[Any]] = judge
    return rerank(
        candidates,
        ask,
        job.ranker,
        question=job.question,
        adjust=_adjust(candidates, job, observe),
        input_order=job.config.ranker.input_order,
        seed=job.config.seed,
        probability=probability_of(job, judge),
    )


def _adjust(
    candidates: Sequence[Candidates], job: RerankJob, observe: Observe | None
) -> Adjust | None:
    """Adds the first stage's prior to the answers about pairs, and tells an observer of answers."""
    prior = None
    if job.question is PairwiseQuestion:
        prior = FirstStagePrior(candidates, job.config.judge.prior or 0.0).adjust
    if observe is None:
        return prior

    def adjust(questions: Sequence[Any], answers: Sequence[Any]) -> Sequence[Any]:
        adjusted = prior(questions, answers) if prior else answers
        observe(questions, adjusted)
        return adjusted

    return adjust
