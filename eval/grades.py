"""Relevance grades with the measures that read them.

A collection may have binary judgements of its own beside its grades.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING

from rankprompt.errors import InputError
from rankprompt.eval.limitations import grade_limitations
from rankprompt.eval.measures import Measure
from rankprompt.eval.scoring import Scores, score_by_readers
from rankprompt.types import Qrels, Run

if TYPE_CHECKING:
    from rankprompt.datasets.base import Collection

__all__ = ["Grades"]


class Grades:
    """Relevance grades, and the measures by which they score runs.

    Args:
        graded: grades by query and document.
        measures: what to compute, in the order of the results.
        binary: judgements that all measures but nDCG read instead of the grades (T2Ranking).

    Attributes:
        qrels: the grades to show beside documents: the graded ones, else the binary ones.
        measures: as given.
    """

    def __init__(
        self, graded: Qrels | None, measures: Sequence[Measure], *, binary: Qrels | None = None
    ) -> None:
        self.qrels: Qrels = graded or binary or {}
        self.measures = tuple(measures)
        if binary is None or binary == graded:
            self._readers = [(self.qrels, self.measures)]
        else:
            by_grade = tuple(measure for measure in measures if measure.graded)
            others = tuple(measure for measure in measures if not measure.graded)
            readers = [(graded or {}, by_grade), (binary, others)]
            self._readers = [reader for reader in readers if reader[1]]

    @classmethod
    def of(cls, collection: "Collection", measures: Sequence[Measure]) -> "Grades":
        """Reads the judgements of a collection.

        Raises:
            InputError: the collection has none, or none that a measure can read.
        """
        graded, binary = collection.qrels("graded"), collection.qrels("binary")
        if graded is None and binary is None:
            raise InputError(f"{collection.name} has no relevance grades; give `qrels`")
        if graded is None and any(measure.graded for measure in measures):
            raise InputError(f"{collection.name} has only binary judgements; nDCG reads grades")
        return cls(graded, measures, binary=binary)

    def only(self, queries: Container[str]) -> "Grades":
        """The grades of these queries alone, for the same measures."""
        kept = copy(self)
        kept.qrels = _only(self.qrels, queries)
        kept._readers = [(_only(qrels, queries), measures) for qrels, measures in self._readers]
        return kept

    def limitations(self) -> Iterator[str]:
        """Yields in sentences what the judgements do not support."""
        for qrels, measures in self._readers:
            yield from grade_limitations(qrels, measures)

    def score(self, run: Run | Iterable[tuple[str, Mapping[str, float]]]) -> Scores:
        """Scores a run as ``rankprompt.eval.score`` does, by each measure's own judgements."""
        scores = score_by_readers(run, self._readers)
        names = [measure.name for measure in self.measures]
        return replace(
            scores,
            means={name: scores.means[name] for name in names},
            by_query={name: scores.by_query[name] for name in names},
        )


def _only(qrels: Qrels, queries: Container[str]) -> Qrels:
    return {query: grades for query, grades in qrels.items() if query in queries}
