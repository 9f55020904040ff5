"""What a reader has to know to read the numbers right, found in the runs and the grades."""

from collections.abc import Iterator, Mapping, Sequence

from rankprompt.eval.measures import Measure
from rankprompt.eval.scoring import Scores
from rankprompt.types import Qrels

__all__ = ["notes_on", "notes_on_grades"]


def notes_on(
    scored: Mapping[str, Scores], qrels: Qrels, measures: Sequence[Measure], baseline: str
) -> Iterator[str]:
    """Says what limits the evaluation.

    Args:
        scored: by run.
        qrels: the grades that they were scored by.
        measures: in the order asked.
        baseline: one of the runs.

    Yields:
        Sentences, those on the grades first.
    """
    queries = scored[baseline].queries
    yield from notes_on_grades(qrels, measures)
    if len(scored) == 1:
        yield "There is a single run, so nothing is compared."
    elif queries == 1:
        yield (
            "There is a single query, so no test is run and there are no intervals: one "
            "difference does not tell how much differences vary."
        )
    elif queries < 10:
        yield f"There are {queries} queries only: the intervals and tests are rough."
    for name, scores in scored.items():
        yield from _on_run(name, scores)


def notes_on_grades(qrels: Qrels, measures: Sequence[Measure]) -> Iterator[str]:
    """Says which measures the grades do not support, and how many queries they say nothing of.

    Args:
        qrels: grades by query and document.
        measures: in the order asked.

    Yields:
        Sentences.
    """
    highest = max((grade for of in qrels.values() for grade in of.values()), default=0)
    without = sum(not any(grade > 0 for grade in of.values()) for of in qrels.values())
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
    if highest == 1 and (graded := [one.name for one in measures if one.graded]):
        yield (
            f"The grades are binary: {', '.join(graded)} can tell relevant documents from others, "
            "but not the more from the less relevant."
        )
    lowest = min((g for of in qrels.values() for g in of.values() if g >= 0), default=0)
    if one_sided := [
        one.name for one in measures if one.kind == "bpref" and one.level <= lowest <= highest
    ]:
        yield (
            f"No document is judged not relevant, so {', '.join(one_sided)} has nothing to prefer "
            "relevant documents to: it is the share of them that a run has."
        )
    if highest > 0 and (beyond := [one.name for one in measures if one.level > highest]):
        yield (
            f"No grade is as high as {', '.join(beyond)} asks for (the highest is {highest}): "
            "the values are 0 and say nothing."
        )


def _on_run(name: str, scores: Scores) -> Iterator[str]:
    missing, others = len(scores.missing), len(scores.unjudged_queries)
    if missing:
        shared = scores.queries - missing
        few = "only " if shared < missing else ""
        yield (
            f"{name} shares {few}{shared} of {scores.queries} queries with the grades; the "
            f"{missing} that it lacks count 0."
        )
    if others:
        what = "1 query" if others == 1 else f"{others} queries"
        yield f"{name} has {what} without grades, left out."
