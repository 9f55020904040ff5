"""Which judgements each measure reads: a collection may have grades and binary ones of its own."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from rankprompt.datasets.base import Collection
from rankprompt.errors import InputError
from rankprompt.eval.limitations import notes_on_grades
from rankprompt.eval.measures import Measure
from rankprompt.eval.scoring import Scorer, Scores, pairs_of
from rankprompt.types import Qrels, Run

__all__ = ["Grades"]


class Grades:
    """Judgements, each with the measures that read them.

    Args:
        graded: grades by query and document.
        measures: what to compute.
        binary: judgements for all measures but nDCG, where there are such (T2Ranking).
    """

    def __init__(
        self, graded: Qrels | None, measures: Sequence[Measure], *, binary: Qrels | None = None
    ) -> None:
        self._measures = measures
        if binary is None or binary == graded:
            parts = [(graded or {}, list(measures))]
        else:
            parts = [
                (graded or {}, [one for one in measures if one.graded]),
                (binary, [one for one in measures if not one.graded]),
            ]
        self._parts = [(qrels, wanted) for qrels, wanted in parts if wanted]

    @classmethod
    def of(cls, collection: Collection, measures: Sequence[Measure]) -> "Grades":
        """The judgements of a collection.

        Raises:
            InputError: it has none, or none that a measure could read.
        """
        graded, binary = collection.qrels("graded"), collection.qrels("binary")
        if graded is None and binary is None:
            raise InputError(f"{collection.name} has no relevance grades; give --qrels")
        if graded is None and any(one.graded for one in measures):
            raise InputError(f"{collection.name} has binary judgements alone; nDCG reads grades")
        return cls(graded, measures, binary=binary)

    def notes(self) -> Iterator[str]:
        """What the judgements cannot support, in sentences."""
        for qrels, wanted in self._parts:
            yield from notes_on_grades(qrels, wanted)

    def score(self, run: Run | Iterable[tuple[str, Mapping[str, float]]]) -> Scores:
        """Scores a run, as ``rankprompt.eval.score`` does, by each measure's own judgements.

        A query counts as missing where any of the judgements know it and the run does not, and as
        unjudged where none do.
        """
        scorers = [Scorer(qrels, wanted) for qrels, wanted in self._parts]
        for query, scores in pairs_of(run):
            for scorer in scorers:
                scorer.add(query, scores)
        found = [scorer.scores() for scorer in scorers]
        by_query = {name: values for one in found for name, values in one.by_query.items()}
        means = {name: mean for one in found for name, mean in one.means.items()}
        names = [one.name for one in self._measures]
        unknown = set.intersection(*(set(one.unjudged_queries) for one in found))
        return Scores(
            means={name: means[name] for name in names},
            by_query={name: by_query[name] for name in names},
            missing=_distinct(query for one in found for query in one.missing),
            unjudged_queries=tuple(q for q in found[0].unjudged_queries if q in unknown),
        )


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
