"""Sentences on what limits an evaluation, derived from the runs and the grades."""

from collections.abc import Iterator, Mapping, Sequence

from rankprompt.eval.measures import Measure
from rankprompt.eval.scoring import EXCLUDED, Scores
from rankprompt.eval.shared_queries import SharedQueries
from rankprompt.types import Qrels

__all__ = ["comparison_limitations", "grade_limitations", "run_limitations"]


def comparison_limitations(scored: Mapping[str, Scores]) -> Iterator[str]:
    """Yields what the numbers of runs and queries do not allow.

    Args:
        scored: scores by the run's name, all over the same queries.
    """
    queries = next(iter(scored.values())).queries
    if len(scored) == 1:
        yield "There is a single run, so nothing is compared."
    elif queries == 1:
        yield (
            "There is a single query, so no test is run and there are no intervals: one "
            "difference does not tell how much differences vary."
        )
    elif queries < 10:
        yield f"There are {queries} queries only: the intervals and tests are rough."


def grade_limitations(qrels: Qrels, measures: Sequence[Measure]) -> Iterator[str]:
    """Yields what the grades exclude or do not support, and how many queries have nothing relevant.

    Args:
        qrels: grades by query and document.
        measures: those that read these grades.
    """
    grades = [grade for by_document in qrels.values() for grade in by_document.values()]
    highest = max(grades, default=0)
    lowest = min((grade for grade in grades if grade >= 0), default=0)
    without = sum(not any(grade > 0 for grade in of.values()) for of in qrels.values())
    if excluded := grades.count(EXCLUDED):
        yield (
            f"Documents graded {EXCLUDED} (excluded) leave every run before it is scored: "
            f"{excluded}."
        )
    if highest < 1:
        yield (
            "No document is relevant by these grades, so every measure of relevance is 0 for every "
            "run."
        )
    elif without:
        yield (
            f"{without} of {len(qrels)} queries have no relevant document; they count 0 for every "
            "run."
        )
    if highest == 1 and (graded := _names(measure for measure in measures if measure.graded)):
        yield (
            f"The grades are binary: {graded} can tell relevant documents from others, "
            "but not the more from the less relevant."
        )
    one_sided = (m for m in measures if m.kind == "bpref" and m.level <= lowest <= highest)
    if names := _names(one_sided):
        yield (
            f"No document is judged not relevant, so {names} has nothing to prefer "
            "relevant documents to: it is the share of them that a run has."
        )
    if highest > 0 and (beyond := _names(m for m in measures if m.level > highest)):
        yield (
            f"No grade is as high as {beyond} asks for (the highest is {highest}): "
            "the values are 0 and say nothing."
        )


def run_limitations(
    scored: Mapping[str, Scores], shared: SharedQueries | None = None
) -> Iterator[str]:
    """Yields how many queries each run lacks, then how many of its queries have no grades.

    Args:
        scored: scores by what to call the run.
        shared: the queries to which the scores were restricted; None for all judged queries.
    """
    for name, scores in scored.items():
        if missing := len(scores.missing):
            judged = len(scores.judged)
            few = "only " if judged - missing < missing else ""
            yield (
                f"{name} shares {few}{judged - missing} of {judged} queries with the grades; the "
                f"{missing} that it lacks count 0."
            )
    if shared:
        yield shared.in_words()
    elif any(scores.missing for scores in scored.values()):
        common = SharedQueries.of(scored)
        which = "that all runs have" if len(scored) > 1 else "that the run has"
        yield (
            f"--shared scores only the {common.share} queries {which}, as trec_eval without -c."
            if common.queries
            else "No judged query is in all runs, so they cannot be compared."
        )
    for name, scores in scored.items():
        if ungraded := len(scores.unjudged_queries):
            what = "1 query" if ungraded == 1 else f"{ungraded} queries"
            yield f"{name} has {what} without grades, left out."


def _names(measures: Iterator[Measure]) -> str:
    return ", ".join(measure.name for measure in measures)
