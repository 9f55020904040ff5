"""Reliability: do stated probabilities of relevance agree with the shares of relevant documents?

The reliability diagram plots the share of relevant documents in a bin against the mean of their
probabilities (Murphy and Winkler, Applied Statistics 26, 1977). The expected calibration error is
the mean distance between the two (Naeini et al., AAAI 2015), here with bins of equal mass, which
are less biased than bins of equal width (Nixon et al., "Measuring Calibration in Deep Learning",
2019; Roelofs et al., AISTATS 2022). The Brier score is the mean squared error of the probabilities
(Brier, Monthly Weather Review 78, 1950).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from rankprompt.eval.scoring import EXCLUDED
from rankprompt.files import read_run
from rankprompt.types import Qrels

__all__ = ["BINS", "PROBABILITY", "Bin", "Reliability", "reliability", "run_reliability"]

BINS = 10
"""The number of bins, of about equal numbers of documents."""

PROBABILITY = "probability of relevance"
"""What the manifest of a run whose scores are probabilities gives as their meaning."""


class Bin(NamedTuple):
    """A bin of documents of neighbouring probabilities.

    Attributes:
        low: the lowest probability in it.
        high: the highest.
        mean: the mean probability.
        share: the share of its documents that are relevant.
        documents: their number.
    """

    low: float
    high: float
    mean: float
    share: float
    documents: int


@dataclass(frozen=True)
class Reliability:
    """How far probabilities of relevance agree with judgements; lower is better for both numbers.

    Attributes:
        bins: by rising probability; at most ``BINS``, fewer where probabilities are equal.
        expected_calibration_error: the mean, over all documents, of the distance between the mean
            probability of the document's bin and its share of relevant documents.
        brier: the mean squared difference between the probability and 1 for a relevant document, 0
            for another.
        level: the lowest grade that counted as relevant.
        unjudged_as_irrelevant: whether documents without a grade counted, as not relevant.
    """

    bins: tuple[Bin, ...]
    expected_calibration_error: float
    brier: float
    level: int = 1
    unjudged_as_irrelevant: bool = False

    @property
    def documents(self) -> int:
        """The number of documents."""
        return sum(one.documents for one in self.bins)


def reliability(probabilities: Sequence[float], relevant: Sequence[bool]) -> Reliability:
    """Measures the reliability of probabilities.

    Documents are sorted by probability and cut into ``BINS`` bins at their quantiles. Those whose
    probabilities are equal to three decimals stay in one bin: the result does not depend on the
    order given, nor on the millionths by which a run separates equal scores.

    >>> reliability([0.25, 0.75], [False, True]).brier
    0.0625

    Args:
        probabilities: of documents, each from 0 to 1.
        relevant: whether each of them is relevant, in the same order.

    Raises:
        ValueError: there is no document, or a probability is not from 0 to 1.
    """
    if not probabilities or not all(0 <= value <= 1 for value in probabilities):
        raise ValueError("expected documents with probabilities from 0 to 1")
    pairs = sorted(zip(probabilities, relevant, strict=True))
    grouped: dict[int, list[tuple[float, bool]]] = {}
    place = 0
    for _, equal in groupby(pairs, key=lambda pair: round(pair[0], 3)):
        members = list(equal)
        # The bin is that of the group's middle.
        middle = place + (len(members) - 1) / 2
        grouped.setdefault(int(middle * BINS / len(pairs)), []).extend(members)
        place += len(members)
    bins = tuple(_bin(members) for members in grouped.values())
    return Reliability(
        bins=bins,
        expected_calibration_error=math.fsum(
            one.documents / len(pairs) * abs(one.mean - one.share) for one in bins
        ),
        brier=math.fsum((value - label) ** 2 for value, label in pairs) / len(pairs),
    )


def run_reliability(
    run: Path, manifest: Mapping[str, object] | None, qrels: Qrels, level: int
) -> Reliability | None:
    """Measures the reliability of a run's scores on its judged documents.

    Documents without a grade are left out, unless the run's calibration counted them as not
    relevant, or no document of the qrels is judged not relevant.

    Args:
        run: the run's file.
        manifest: that of the run; None where there is none.
        qrels: grades by query and document; grades below 0 mean "not looked at".
        level: the lowest grade that counts as relevant; but that of its calibration, where the
            manifest of the run tells it.

    Returns:
        None where the manifest does not say that the scores are probabilities of relevance, or a
        score is not from 0 to 1, or no document is judged.

    Raises:
        InputError: the run cannot be read.
    """
    scores = (manifest or {}).get("scores")
    if not isinstance(scores, dict) or scores.get("meaning") != PROBABILITY:
        return None
    calibration = scores.get("calibration")
    fitted = calibration if isinstance(calibration, dict) else {}
    stated = fitted.get("level")
    level = stated if isinstance(stated, int) and stated > 0 else level
    grades = {grade for of in qrels.values() for grade in of.values() if grade >= 0}
    unjudged = fitted.get("unjudged_as_irrelevant") is True or min(grades, default=0) >= level
    least = EXCLUDED + 1 if unjudged else 0
    found = [
        (score, grade)
        for query, documents in read_run(run).items()
        if query in qrels
        for document, score in documents.items()
        if (grade := qrels[query].get(document, -1)) >= least
    ]
    if not found or not all(0 <= score <= 1 for score, _ in found):
        return None
    relevant = [grade >= level for _, grade in found]
    measured = reliability([score for score, _ in found], relevant)
    return replace(measured, level=level, unjudged_as_irrelevant=unjudged)


def _bin(members: Sequence[tuple[float, bool]]) -> Bin:
    return Bin(
        low=members[0][0],
        high=members[-1][0],
        mean=math.fsum(value for value, _ in members) / len(members),
        share=sum(label for _, label in members) / len(members),
        documents=len(members),
    )
