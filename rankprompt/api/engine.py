"""Ranks candidates by the models that a reranker keeps open, for many callers at a time."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from rankprompt.api.results import JudgedQuestion, Usage
from rankprompt.journal.costs import Costs
from rankprompt.llm.model_thread import Call
from rankprompt.llm.rerankers.language import check_language
from rankprompt.pipeline.execution import Execution
from rankprompt.pipeline.job import RerankJob
from rankprompt.pipeline.open_execution import open_execution
from rankprompt.pipeline.results import Totals
from rankprompt.pipeline.shared_models import SharedModels
from rankprompt.pipeline.staged_execution import StagedExecution, first_of
from rankprompt.rankers.scores import DocumentScore
from rankprompt.types import QUESTION_NOUNS, Candidates, Fallback, Judgment, Question

__all__ = ["Ranked", "rank_candidates"]


class Ranked(NamedTuple):
    """What ranking some queries gave.

    Attributes:
        rankings: document ids by query id, best first, those below the depth left out.
        scores: of these documents, by query id.
        judged: the questions and their answers by query id; empty where nobody asked for them.
        usage: the cost of all queries together.
    """

    rankings: Mapping[str, Sequence[str]]
    scores: Mapping[str, Mapping[str, DocumentScore]]
    judged: Mapping[str, Sequence[JudgedQuestion]]
    usage: Usage


def rank_candidates(
    job: RerankJob,
    candidates: Sequence[Candidates],
    models: SharedModels,
    *,
    call: Call,
    spent: Callable[[Usage], None],
    explain: bool = False,
) -> Ranked:
    """Ranks queries in lock-step, beside other calls that share the models.

    Args:
        job: a validated job.
        candidates: queries with their documents, best first.
        models: the open models.
        call: the call, which may be cancelled.
        spent: is called with what it has cost, also where it fails or is cancelled.
        explain: keep the questions and their answers.

    Raises:
        CancelledError: the call was cancelled.
        RankpromptError: as ``run_rerank``.
    """
    started = time.perf_counter()
    for one in job.single_jobs:
        if one.source != "oracle" and not one.config.judge.keep_going:
            check_language(one.model, (query.query.text for query in candidates))
    judged: dict[str, list[JudgedQuestion]] = {query.query.id: [] for query in candidates}
    positions = {
        query.query.id: {document.id: index for index, document in enumerate(query.documents)}
        for query in candidates
    }
    totals = Totals()
    rankings: dict[str, Sequence[str]] = {}
    scores: dict[str, Mapping[str, DocumentScore]] = {}
    with ExitStack() as stack:
        access = stack.enter_context(models.calling(call))
        cascade = access.cascade(job)
        execution = stack.enter_context(open_execution(job, cascade, models=access))
        if explain:
            _observe(execution, judged, positions)
        first = [first_of(query, job.config.data.depth) for query in candidates]
        if cascade and job.source != "teacher":
            first = cascade(first)
        try:
            for result in execution.rerank(first, lambda _: None):
                totals.add(result)
                rankings |= result.rankings
                scores |= result.scores
            execution.finish()
        finally:
            usage = _usage(job, execution, totals)
            usage = replace(usage, seconds=time.perf_counter() - started)
            spent(usage)
    return Ranked(rankings, scores, judged if explain else {}, usage)


def _observe(
    execution: Execution,
    judged: Mapping[str, list[JudgedQuestion]],
    positions: Mapping[str, Mapping[str, int]],
) -> None:
    def note(stage: int, questions: Sequence[Question], answers: Sequence[Judgment]) -> None:
        for question, answer in zip(questions, answers, strict=True):
            indices = positions[question.query.id]
            judged[question.query.id].append(
                JudgedQuestion(
                    QUESTION_NOUNS[type(question)],
                    tuple(indices[document.id] for document in question.documents),
                    answer,
                    answered=answer is not None and not isinstance(answer, Fallback),
                    stage=stage,
                )
            )

    if isinstance(execution, StagedExecution):
        for number, stage in enumerate(execution.stages, 1):
            stage.execution.observe = partial(note, number)
    else:
        execution.observe = partial(note, 1)


def _usage(job: RerankJob, execution: Execution, totals: Totals) -> Usage:
    # Stages are added up here, since the sum of an execution that failed is not there.
    parts = (
        [(one.job, one.execution) for one in execution.stages]
        if isinstance(execution, StagedExecution)
        else [(job, execution)]
    )
    costs = Costs()
    for _, part in parts:
        costs.merge(part.costs)
    return Usage(
        questions=totals.asked + totals.cache_hits + totals.repeated,
        unasked=totals.unasked,
        prompts=costs.prompts,
        prompts_from_journal=costs.prompts_from_journal,
        tokens=costs.tokens,
        written_tokens=costs.written,
        cost=sum(one.budget.price(part.costs) for one, part in parts),
    )
