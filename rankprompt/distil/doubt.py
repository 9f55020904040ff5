"""The pairs that a tournament asks: those where the teacher's order is most in doubt."""

from collections.abc import Sequence
from dataclasses import replace

from rankprompt.distil.pairs import Taught, known
from rankprompt.errors import InputError
from rankprompt.pipeline.job import RerankJob
from rankprompt.pipeline.open_execution import open_execution
from rankprompt.types import Candidates, Judgment, Progress, Question, no_progress

__all__ = ["ask_in_doubt", "tournament_of"]


def tournament_of(job: RerankJob, queries: int, number: int) -> RerankJob:
    """A job's judge in the method "bradley-terry", with a budget for each query.

    Args:
        job: the teacher's.
        queries: how many there are.
        number: the most pairs of all queries together.

    Raises:
        InputError: there are more queries than pairs.
    """
    if number < queries:
        raise InputError(
            f"`choose` doubt plays a tournament for each of {queries:,} queries: give at least as "
            f"many `pairs`, not {number:,}, or fewer queries (`limit`)"
        )
    ranker = replace(job.config.ranker, method="bradley-terry", comparisons=number // queries)
    return replace(job, config=replace(job.config, ranker=ranker))


def ask_in_doubt(
    job: RerankJob,
    candidates: Sequence[Candidates],
    number: int,
    progress: Progress = no_progress,
) -> list[Taught]:
    """Asks a job's judge what a Bradley-Terry tournament asks; its journal answers what it holds.

    Equal answers lead to equal questions, so an interrupted tournament goes on where it was.

    Args:
        job: the job, with its budget and seed. Pairs that the budget does not reach are left out.
        candidates: queries with their documents.
        number: the most pairs; each query has an equal share.
        progress: opens a progress bar.

    Returns:
        The pairs, by the order of ``candidates``.

    Raises:
        InputError: there are more queries than pairs, or an oracle's grades are of other queries.
        ModelError: the model cannot be loaded, or its answers cannot be read.
    """
    tournament = tournament_of(job, len(candidates), number)
    taught: list[Taught] = []

    def observe(questions: Sequence[Question], answers: Sequence[Judgment]) -> None:
        taught.extend(known(questions, answers))  # type: ignore[arg-type]

    most = sum(tournament.estimate(len(one.documents)) for one in candidates)
    with (
        open_execution(tournament) as execution,
        progress(f"asking {job.model}", most) as advance,
    ):
        execution.observe = observe
        for _ in execution.rerank(candidates, advance):
            pass  # The ranking is of no use here.
        execution.finish()
    # Queries behind a server finish in any order, and the order of pairs is part of a fit.
    places = {one.query.id: place for place, one in enumerate(candidates)}
    return sorted(taught, key=lambda one: places[one.question.query.id])
