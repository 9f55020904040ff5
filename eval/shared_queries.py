"""The judged queries that all runs have: what trec_eval averages over without its -c."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from rankprompt.errors import InputError
from rankprompt.eval.scoring import Scores

__all__ = ["SharedQueries"]


@dataclass(frozen=True)
class SharedQueries:
    """The queries that all runs have and the qrels too.

    Attributes:
        queries: their ids, in the order of the qrels.
        judged: the number of queries of the qrels.
        lacking: the number of judged queries that a run lacks, by the run's name.
    """

    queries: tuple[str, ...]
    judged: int
    lacking: Mapping[str, int]

    @classmethod
    def of(cls, scored: Mapping[str, Scores]) -> "SharedQueries":
        """Finds the shared queries of runs, possibly none.

        Args:
            scored: scores by the run's name, all by the same qrels.
        """
        judged = next(iter(scored.values())).judged
        missing = {query for scores in scored.values() for query in scores.missing}
        return cls(
            queries=tuple(query for query in judged if query not in missing),
            judged=len(judged),
            lacking={name: len(scores.missing) for name, scores in scored.items()},
        )

    @property
    def share(self) -> str:
        """How many of how many queries are shared, such as "10 of 43"."""
        return f"{len(self.queries):,} of {self.judged:,}"

    def only(self, scores: Scores) -> Scores:
        """Restricts a run's scores to the shared queries, its means with them.

        Raises:
            InputError: no query is shared, or none that a measure has judgements for.
        """
        kept = {
            measure: {query: values[query] for query in self.queries if query in values}
            for measure, values in scores.by_query.items()
        }
        for measure, values in kept.items():
            if not values:
                counts = ", ".join(
                    f"{name} lacks {number:,}" for name, number in self.lacking.items()
                )
                raise InputError(
                    f"`shared`: none of the {len(scores.by_query[measure]):,} queries that are "
                    f"judged for {measure} is in all runs ({counts})"
                )
        return replace(
            scores,
            means={measure: math.fsum(of.values()) / len(of) for measure, of in kept.items()},
            by_query=kept,
            missing=(),
        )

    def in_words(self) -> str:
        """Which queries the numbers are over, and why not over more, in a sentence."""
        lacking = [f"{name} lacks {number:,}" for name, number in self.lacking.items() if number]
        if not lacking:
            return f"All {self.judged:,} judged queries are in all runs; --shared leaves none out."
        return (
            f"All numbers are over the {self.share} judged queries that all runs have (--shared); "
            f"{', '.join(lacking)}."
        )
