"""The difference of a run from a baseline: the numbers, and the sentence that they allow."""

from dataclasses import dataclass

__all__ = ["Comparison", "Interval"]


@dataclass(frozen=True)
class Interval:
    """A confidence interval with its level."""

    low: float
    high: float
    level: float = 0.95


@dataclass(frozen=True)
class Comparison:
    """One run against a baseline, by one measure.

    Attributes:
        measure: its name; higher is better.
        run: the run's name.
        baseline: the baseline's name.
        queries: the number of pairs.
        difference: the run's mean less the baseline's.
        interval: of the difference (bootstrap, BCa); None with one query or no difference.
        wins: queries for which the run is better.
        ties: queries for which both are equal.
        losses: queries for which the baseline is better.
        effect: the mean difference in standard deviations of the differences (Cohen's d for pairs);
            None where they do not vary.
        t_test: p of the paired t-test, two-sided; None with one query or no variation.
        randomisation: p of Fisher's randomisation test, two-sided: the share of sign flips that
            give as large a difference, the observed one among them; None with one query.
        holm: ``randomisation`` corrected as ``compare`` says.
        detectable: the smallest true difference that a t-test at .05 would detect four times in
            five with so many queries and this variation; None where there is no variation.
        absent: the number of queries that one of the two runs lacks, or both; they count 0 there.
        from_absent: the part of ``difference`` that comes from these queries.
    """

    measure: str
    run: str
    baseline: str
    queries: int
    difference: float
    interval: Interval | None
    wins: int
    ties: int
    losses: int
    effect: float | None
    t_test: float | None
    randomisation: float | None
    holm: float | None
    detectable: float | None
    absent: int = 0
    from_absent: float = 0.0

    @property
    def counts(self) -> str:
        """The numbers of queries that are better, worse and equal, in words."""
        queries = "query" if self.wins == 1 else "queries"
        return f"{self.wins:,} {queries} better, {self.losses:,} worse, {self.ties:,} equal"

    @property
    def significant(self) -> bool:
        """Whether the corrected p is below .05, and not mostly by queries that a run lacks."""
        return self.holm is not None and self.holm < 0.05 and not self.rests_on_absent

    @property
    def rests_on_absent(self) -> bool:
        """Whether most of the difference comes from queries that one of the runs lacks."""
        return abs(self.from_absent) > abs(self.difference - self.from_absent)

    def in_words(self) -> str:
        """The result in one plain sentence."""
        subject = f"{self.run} against {self.baseline} by {self.measure}"
        if self.queries < 2:
            return f"{subject}: a single query allows no test."
        if self.absent == self.queries:
            return f"{subject}: no query is in both runs, so nothing is compared."
        if self.difference == 0 and not self.wins and not self.losses:
            lacked = f", {self.absent} of which a run lacks" if self.absent else ""
            return f"{subject}: the same on all {self.queries} queries{lacked}."
        absent = "1 absent query" if self.absent == 1 else f"{self.absent} absent queries"
        size = f"{_direction(self.difference)} ({self.counts})"
        if self.rests_on_absent:
            return (
                f"{subject}: {size}, but most of that comes from {absent}, counted as 0"
                f"{self._on_shared}; --shared tests the queries that all runs have."
            )
        p = self.holm if self.holm is not None else 1.0
        corrected = f"corrected p {f'{p:.3f}' if p >= 0.001 else 'below .001'}"
        corrected += f", with {absent} counted as 0" if self.absent else ""
        if self.significant:
            return f"{subject}: {size}; unlikely to be chance ({corrected}){self._on_shared}."
        least = (
            f"; with so many queries, differences below about {self.detectable:.3f} go unnoticed"
            if self.detectable is not None
            else ""
        )
        return f"{subject}: {size}; may well be chance ({corrected}){least}{self._on_shared}."

    @property
    def _on_shared(self) -> str:
        """The difference on the queries that both runs have; empty where that is all of them."""
        if not self.absent:
            return ""
        shared = self.queries - self.absent
        difference = (self.difference - self.from_absent) * self.queries / shared
        which = "the 1 query" if shared == 1 else f"the {shared} queries"
        return f"; on {which} that both have, {_direction(difference)}"


def _direction(difference: float) -> str:
    return f"{abs(difference):.4f} {'better' if difference > 0 else 'worse'}"
