"""Comparison of runs, query by query: what differs, by how much, and whether it may be chance.

All tests are paired, over the queries of the qrels. They are scipy's; Holm's correction (Scand. J.
Statist. 6, 1979) is ours, for scipy has none.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rankprompt.errors import InputError
from rankprompt.eval.scoring import Scores

__all__ = ["Comparison", "Interval", "compare", "draws_for", "holm", "interval"]

# Of 20,000 draws, a p of .05 comes out within .003 of it, nineteen times in twenty.
RESAMPLES = 20_000
# Queries times draws: drawing from 10,000 queries 20,000 times takes minutes.
_DRAWS = 20_000_000
POWER = 0.8
# Differences of sums of floats: two runs that agree must not differ in the last bit.
_SAME = 1e-12
# Sign flips of equal size must tie, though their means differ in the last bits: means are counted
# in grains. Irrational, for means are fractions, and none may lie half-way between two grains.
_GRAIN = math.sqrt(2) * 1e-10


@dataclass(frozen=True)
class Interval:
    """A confidence interval: with its level, 0.95 unless another was asked for."""

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
        queries: how many pairs there are.
        difference: the run's mean less the baseline's.
        interval: of the difference (bootstrap, BCa); None with one query or no difference.
        wins: queries for which the run is better.
        ties: queries for which both are the same.
        losses: queries for which the baseline is better.
        effect: the mean difference in standard deviations of the differences (Cohen's d for pairs);
            None where they do not vary.
        t_test: p of the paired t-test, two-sided; None with one query or no variation.
        randomisation: p of Fisher's randomisation test, two-sided: the share of sign flips that
            give as large a difference, the observed one among them; None with one query.
        holm: ``randomisation`` corrected for all comparisons asked together.
        detectable: the smallest true difference that a t-test at .05 would find four times in five
            with so many queries and this variation; None where it cannot be told.
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

    @property
    def counts(self) -> str:
        """How many queries are better, worse and equal, in words."""
        queries = "query" if self.wins == 1 else "queries"
        return f"{self.wins:,} {queries} better, {self.losses:,} worse, {self.ties:,} equal"

    def in_words(self, alpha: float = 0.05) -> str:
        """One plain sentence."""
        of = f"{self.run} against {self.baseline} by {self.measure}"
        if self.queries < 2:
            return f"{of}: a single query allows no test."
        if self.difference == 0 and not self.wins and not self.losses:
            return f"{of}: the same on all {self.queries} queries."
        way = "better" if self.difference > 0 else "worse"
        p = self.holm if self.holm is not None else 1.0
        size = f"{abs(self.difference):.4f} {way} ({self.counts})"
        if p < alpha:
            return f"{of}: {size}; unlikely to be chance (corrected p {_p(p)})."
        least = (
            f"; with so many queries, differences below about {self.detectable:.3f} go unnoticed"
            if self.detectable is not None
            else ""
        )
        return f"{of}: {size}; may well be chance (corrected p {_p(p)}){least}."


def compare(
    scored: Mapping[str, Scores],
    baseline: str,
    measures: Sequence[str],
    *,
    seed: int = 0,
    resamples: int | None = None,
) -> list[Comparison]:
    """Compares each run with a baseline.

    Args:
        scored: scores of the same qrels by run name.
        baseline: one of the names.
        measures: names of measures that all were scored by.
        seed: of the bootstrap and the sign flips.
        resamples: draws of each; where all sign flips are fewer, they are all tried. None for as
            many as ``draws_for`` gives.

    Returns:
        Measure by measure, each run in the order given; Holm's correction is over all of them.

    Raises:
        InputError: no such baseline, no other run, or scores over different queries.
    """
    if baseline not in scored:
        raise InputError(f"the baseline {baseline!r} is none of the runs: {', '.join(scored)}")
    others = [name for name in scored if name != baseline]
    if not others:
        raise InputError("there is nothing to compare: give a run beside the baseline")
    found = []
    for measure in measures:
        before = scored[baseline].by_query[measure]
        for name in others:
            after = scored[name].by_query[measure]
            if after.keys() != before.keys():
                raise InputError(f"{name} and {baseline} were scored over different queries")
            pairs = [after[query] - before[query] for query in before]
            found.append(_compare(measure, name, baseline, pairs, seed, resamples))
    corrected = holm([one.randomisation for one in found])
    return [Comparison(**{**vars(one), "holm": p}) for one, p in zip(found, corrected, strict=True)]


def draws_for(queries: int) -> int:
    """How many draws are taken from so many queries: 20,000, and fewer from more than 1,000.

    Of 10,000 queries 2,000 are taken: then a p of .05 comes out within .01 of it, nineteen times in
    twenty, and the least that there can be, two-sided, is .001.
    """
    return min(RESAMPLES, max(1000, _DRAWS // max(1, queries)))


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """Corrects p-values for their number, step by step from the smallest (Holm 1979).

    Args:
        ps: None where there was no test, which does not count.

    Returns:
        Corrected values, at most 1, in the same order.
    """
    tested = sorted((p, place) for place, p in enumerate(ps) if p is not None)
    corrected: list[float | None] = [None] * len(ps)
    largest = 0.0
    for step, (p, place) in enumerate(tested):
        largest = max(largest, min(1.0, p * (len(tested) - step)))
        corrected[place] = largest
    return corrected


def interval(
    values: Sequence[float], *, level: float = 0.95, seed: int = 0, resamples: int | None = None
) -> Interval | None:
    """The confidence interval of a mean, by bias-corrected and accelerated bootstrap.

    Args:
        values: one a query.
        level: how sure, between 0 and 1.
        seed: of the draws.
        resamples: how many; None for as many as ``draws_for`` gives.

    Returns:
        None where fewer than two values, or no two that differ, leave nothing to draw.
    """
    import numpy as np
    from scipy.stats import bootstrap

    if len(values) < 2 or max(values) - min(values) <= _SAME:
        return None
    found = bootstrap(
        (np.asarray(values),),
        np.mean,
        n_resamples=resamples or draws_for(len(values)),
        # Bounds the memory: 10,000 queries times all resamples would be 1.6 GB.
        batch=max(1, 4_000_000 // len(values)),
        confidence_level=level,
        method="BCa",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(float(found.low), float(found.high), level)


def _compare(
    measure: str, name: str, baseline: str, pairs: Sequence[float], seed: int, resamples: int | None
) -> Comparison:
    import numpy as np
    from scipy import stats

    gaps = np.asarray([0.0 if abs(gap) <= _SAME else gap for gap in pairs])
    count, mean = len(gaps), float(gaps.mean())
    deviation = float(gaps.std(ddof=1)) if count > 1 else 0.0
    varies = deviation > _SAME
    t_test = randomisation = effect = detectable = None
    if varies:
        t_test = float(stats.ttest_1samp(gaps, 0.0).pvalue)
        effect = mean / deviation
        # Both quantiles of t: close to the exact, non-central form from ten queries on.
        quantiles = stats.t.ppf([0.975, POWER], count - 1)
        detectable = float(quantiles.sum()) * deviation / math.sqrt(count)
    if count > 1:
        # With one sample, "samples" flips signs; scipy counts the observed one among the draws.
        drawn: Any = stats.permutation_test(
            (gaps,),
            lambda flipped, axis: np.round(flipped.mean(axis=axis) / _GRAIN),
            permutation_type="samples",
            vectorized=True,
            n_resamples=resamples or draws_for(count),
            batch=max(1, 4_000_000 // count),
            alternative="two-sided",
            rng=np.random.default_rng(seed),
        )
        randomisation = min(1.0, float(drawn.pvalue))
    return Comparison(
        measure=measure,
        run=name,
        baseline=baseline,
        queries=count,
        difference=mean,
        interval=interval(gaps.tolist(), seed=seed, resamples=resamples),
        wins=int((gaps > 0).sum()),
        ties=int((gaps == 0).sum()),
        losses=int((gaps < 0).sum()),
        effect=effect,
        t_test=t_test,
        randomisation=randomisation,
        holm=None,
        detectable=detectable,
    )


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else "below .001"
