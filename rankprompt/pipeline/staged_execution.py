"""The way to rerank in stages, each with a model of its own."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace

from rankprompt.cascade import Cascade
from rankprompt.journal.budget import Budget
from rankprompt.journal.costs import Costs
from rankprompt.pipeline.execution import Execution, OnJudged
from rankprompt.pipeline.job import RerankJob
from rankprompt.pipeline.passages import tell_of_no_use
from rankprompt.pipeline.results import BlockResult, Totals, join_stage_results
from rankprompt.pipeline.scoring import meaning_of
from rankprompt.pipeline.stage_validation import name_stage
from rankprompt.rankers.reranking import insert_reranked
from rankprompt.rankers.scores import (
    DocumentScore,
    follow_ranking,
    join_scores,
    strictly_decreasing,
)
from rankprompt.types import Candidates, Progress

__all__ = ["StageExecution", "StagedExecution", "first_of", "rank_again"]


class StageExecution:
    """One of several stages: how it reranks, and what it has given so far.

    Attributes:
        job: the stage's job.
        execution: reranks.
        cascade: selects windows; None where documents are shown whole.
        totals: the results of all queries.
        seconds: the time that they took.
    """

    def __init__(self, job: RerankJob, execution: Execution, cascade: Cascade | None) -> None:
        self.job, self.execution, self.cascade = job, execution, cascade
        self.totals, self.seconds = Totals(), 0.0

    def rerank(self, candidates: Sequence[Candidates], on_judged: OnJudged) -> BlockResult:
        """Reranks the first documents of each query, as many as the stage's depth says."""
        started = time.perf_counter()
        first = [first_of(query, self.job.config.data.depth) for query in candidates]
        if self.cascade and self.job.source != "teacher":
            first = self.cascade(first)
        block = Totals()
        rankings: dict[str, list[str]] = {}
        scores: dict[str, Mapping[str, DocumentScore]] = {}
        for result in self.execution.rerank(first, on_judged):
            block.add(result)
            self.totals.add(result)
            rankings |= result.rankings
            scores |= result.scores
        self.seconds += time.perf_counter() - started
        return block.as_result(rankings, scores)


class StagedExecution(Execution):
    """Reranks in stages: each reranks the best documents of the stage before.

    Args:
        job: a job with stages.
        stages: their executions, which this one opens and closes.
        progress: opens a progress bar for each stage.

    Attributes:
        stages: the stages with their results.
    """

    def __init__(
        self, job: RerankJob, stages: Sequence[StageExecution], progress: Progress
    ) -> None:
        super().__init__(job)
        self.stages, self._progress = stages, progress

    def _open(self, stack: ExitStack) -> None:
        for number, stage in enumerate(self.stages, 1):
            with name_stage(number):
                stack.enter_context(stage.execution)

    def rerank(
        self, candidates: Sequence[Candidates], on_judged: OnJudged
    ) -> Iterator[BlockResult]:
        """Reranks all candidates stage by stage, and gives one result."""
        del on_judged  # each stage has a progress bar of its own
        current, results = list(candidates), []
        scores: dict[str, dict[str, DocumentScore]] = {}
        for number, stage in enumerate(self.stages, 1):
            stage.execution.limit(self._left_for(stage))
            title = f"stage {number} of {len(self.stages)}: {stage.job.title}"
            questions = sum(stage.job.estimate(len(query.documents)) for query in current)
            with name_stage(number), self._progress(title, questions) as advance:
                result = stage.rerank(current, advance)
            current = [
                rank_again(query, result.rankings[query.query.id], result.scores[query.query.id])
                for query in current
            ]
            results.append(result)
            for query in current:
                ranking = [document.id for document in query.documents]
                scores[query.query.id] = join_scores(
                    scores.get(query.query.id),
                    result.scores[query.query.id],
                    ranking,
                    meaning=meaning_of(stage.job),
                )
        self.costs = Costs()
        self.workers_replaced = sum(one.execution.workers_replaced for one in self.stages)
        for stage in self.stages:
            self.costs.merge(stage.execution.costs)
        yield join_stage_results(results, current, scores)

    def finish(self) -> None:
        """Checks each stage, and adds up what their guards counted."""
        for number, stage in enumerate(self.stages, 1):
            with name_stage(number):
                stage.execution.finish()
                tell_of_no_use(stage.cascade)
            self.guard.merge(stage.execution.guard.counts, stage.execution.guard.refused)

    def _left_for(self, stage: StageExecution) -> Budget:
        """What the other stages have left of the budget, at this stage's prices.

        What a stage reads that keeps no limits, as a cascade's cross-encoder, counts towards none.
        """
        budget = self._job.budget
        others = [
            one
            for one in self.stages
            if one is not stage and _limits(one.job.budget) == _limits(budget)
        ]
        costs = [one.execution.costs for one in others]
        money = sum(one.job.budget.price(one.execution.costs) for one in others)
        return replace(
            stage.job.budget,
            prompts=_less(budget.prompts, sum(one.prompts for one in costs)),
            tokens=_less(budget.tokens, sum(one.tokens for one in costs)),
            cost=None if budget.cost is None else budget.cost - money,
        )


def first_of(query: Candidates, depth: int) -> Candidates:
    """A query with its first documents."""
    return query._replace(documents=query.documents[:depth], scores=query.scores[:depth])


def rank_again(
    query: Candidates, ranking: Sequence[str], scores: Mapping[str, DocumentScore] | None = None
) -> Candidates:
    """A query with its documents as a stage ranked them.

    The documents below the stage's depth keep their order. The scores are those of the run that
    the stage alone would have written, as if the next stage read it from a file.

    Args:
        query: the documents before.
        ranking: the ids of those that the stage ranked, best first.
        scores: of these, by id; None leaves equal steps between all scores.
    """
    documents = {document.id: document for document in query.documents}
    order = insert_reranked(list(documents), ranking)
    followed = follow_ranking(order, scores or {})
    return query._replace(
        documents=tuple(documents[name] for name in order),
        scores=tuple(strictly_decreasing([one.score for one in followed.values()])),
    )


def _less(limit: int | None, spent: int) -> int | None:
    return None if limit is None else limit - spent


def _limits(budget: Budget) -> tuple[float | None, ...]:
    return budget.prompts, budget.tokens, budget.cost
