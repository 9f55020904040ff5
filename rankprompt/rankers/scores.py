"""Scores of ranked documents, from 0 to 1: what they mean, and how they follow a ranking."""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from rankprompt.types import (
    ListwiseQuestion,
    PairwiseQuestion,
    QuestionKind,
    SetwiseQuestion,
)

__all__ = [
    "MEANINGS",
    "DocumentScore",
    "Meaning",
    "Probability",
    "follow_ranking",
    "join_scores",
    "strictly_decreasing",
]

Probability: TypeAlias = Callable[[float], float]
"""Turns a judge's own number of a document into a score from 0 to 1; it never decreases."""


class Meaning(StrEnum):
    """What the scores of a run mean, in the words of its manifest."""

    RELEVANCE = "probability of relevance"
    LIKELIHOOD = "geometric mean of the probabilities of the query's tokens"
    GRADE = "grade as a share of the largest grade"
    WINS = "mean probability of being preferred to another candidate"
    SELECTIONS = "mean probability of being selected among the documents shown"
    LISTINGS = "share of the documents shown with it that it was ranked above"


MEANINGS: Mapping[QuestionKind, Meaning] = {
    PairwiseQuestion: Meaning.WINS,
    SetwiseQuestion: Meaning.SELECTIONS,
    ListwiseQuestion: Meaning.LISTINGS,
}
"""By the kind of question, what scores mean; the meaning of a grade is its judge's."""


class DocumentScore(NamedTuple):
    """The score of a ranked document.

    Attributes:
        score: from 0 to 1; no document below has a higher one.
        value: the judge's own number: the grade, the Bradley-Terry strength in log-odds, or the
            share; None where no answer is about the document.
    """

    score: float
    value: float | None


_UNJUDGED = DocumentScore(0.0, None)


def follow_ranking(
    ranking: Sequence[str], scores: Mapping[str, DocumentScore]
) -> dict[str, DocumentScore]:
    """Makes scores follow a ranking, and gives a score to the documents that were not judged.

    Judged documents whose scores contradict the ranking are pooled: they share their mean
    (isotonic regression; Ayer et al. 1955, An Empirical Distribution Function for Sampling with
    Incomplete Information). A document that was not judged takes the score of the judged document
    below it, or 0 where there is none.

    Args:
        ranking: document ids, best first.
        scores: by document id; those without a value, and those that are left out, were not judged.

    Returns:
        The scores of all documents of the ranking, best first.

    Examples:
        >>> scores = {"a": DocumentScore(0.5, 1.0), "b": DocumentScore(0.75, 2.0)}
        >>> follow_ranking(["new", "a", "b", "last"], scores)["new"]
        DocumentScore(score=0.625, value=None)
    """
    own = {name: scores.get(name, _UNJUDGED) for name in ranking}
    judged = [one.score for one in own.values() if one.value is not None]
    pooled = _decreasing(judged)
    below, result = 0.0, []
    for name, (_, value) in reversed(own.items()):
        if value is not None:
            below = pooled.pop()
        result.append((name, DocumentScore(below, value)))
    return dict(reversed(result))


def join_scores(
    before: Mapping[str, DocumentScore] | None,
    after: Mapping[str, DocumentScore],
    ranking: Sequence[str],
    *,
    meaning: Meaning,
) -> dict[str, DocumentScore]:
    """Joins the scores of a stage and of the next, which reranked the top of its ranking.

    A later stage that gives probabilities of relevance replaces the scores of its documents, which
    are pooled among themselves. The scores before, which are numbers of another model, never change
    them: those of the documents below are lowered to the last score of the later stage, where they
    are higher. A later stage that only orders hands out the scores that these documents had before
    in its new order, so that they mean what they meant; each document keeps its own value.

    Args:
        before: scores by document id of the stages before; None before the first.
        after: scores of the documents that the later stage reranked.
        ranking: all documents in the order of the later stage.
        meaning: of the later stage's scores.

    Returns:
        As ``follow_ranking``.
    """
    if before is None:
        return follow_ranking(ranking, after)
    joined = {**before, **after}
    if meaning is Meaning.RELEVANCE:
        joined = _fit_between(
            joined, follow_ranking([n for n in ranking if n in after], after), ranking
        )
    else:
        kept = [name for name in ranking if name in after and name in before]
        judged = [name for name in kept if before[name].value is not None]
        in_order = sorted((before[name].score for name in judged), reverse=True)
        handed_out = dict(zip(judged, in_order, strict=True))
        joined |= {
            name: DocumentScore(handed_out.get(name, 0.0), before[name].value) for name in kept
        }
    return follow_ranking(ranking, joined)


def strictly_decreasing(scores: Sequence[float]) -> list[float]:
    """Separates equal scores by about a millionth, so that no tool sees a tie.

    Args:
        scores: from 0 to 1, none higher than the one before.

    Returns:
        Scores of seven decimals, above 0 and up to 1, each below the one before also in single
        precision, which trec_eval reads; for at most 2^23 scores. Those of n documents move by at
        most n millionths, and by no more than .01 up to 80,000.
    """
    n = len(scores)
    # Below 1, single precision has steps of 2^-24: less than the last decimal, which is less than
    # this gap.
    gap = max(min(1e-6, 0.01 / max(n, 1)), 2**-23)
    return [round(gap * (n - i) + (1 - gap * n) * score, 7) for i, score in enumerate(scores)]


def _fit_between(
    scores: Mapping[str, DocumentScore], fixed: Mapping[str, DocumentScore], ranking: Sequence[str]
) -> dict[str, DocumentScore]:
    """Limits scores by those of the judged documents of ``fixed`` above and below, which stay."""
    fixed = {name: one for name, one in fixed.items() if one.value is not None}
    below = [one.score for one in reversed(fixed.values())]
    above, result = 1.0, {}
    for name in ranking:
        score, value = fixed.get(name) or scores.get(name, _UNJUDGED)
        if name in fixed:
            above = below.pop()
        result[name] = DocumentScore(max(min(score, above), below[-1] if below else 0.0), value)
    return result


def _decreasing(values: Sequence[float]) -> list[float]:
    """The non-increasing sequence with the least squared distance; adjacent values are pooled."""
    blocks: list[tuple[float, int]] = []
    for value in values:
        mean, size = value, 1
        while blocks and blocks[-1][0] < mean:
            other, number = blocks.pop()
            mean, size = (other * number + mean * size) / (number + size), number + size
        blocks.append((min(max(mean, 0.0), 1.0), size))
    return [mean for mean, size in blocks for _ in range(size)]
