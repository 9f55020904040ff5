"""Paired comparison of runs over the queries of the qrels: differences, intervals and tests.

The tests are scipy's, and so is the bootstrap. scipy lacks Holm's correction (Scandinavian Journal
of Statistics 6, 1979), which is implemented here.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rankprompt.errors import InputError
from rankprompt.eval.paired_difference import Comparison, Interval
from rankprompt.eval.scoring import Scores

__all__ = [
    "RESAMPLES", "Comparison", "Interval", "MeanScore", "compare", "draws_for", "holm", "interval",
    "mean_scores",
]  # fmt: skip

RESAMPLES = 20_000
"""Draws up to 1,000 queries: a p of .05 then comes out within .003 of it 19 times in 20."""

# Queries times draws: 20,000 draws of 10,000 queries would take minutes.
_MAX_DRAWN = 20_000_000
# Array cells at a time: 10,000 queries times all draws would take 1.6 GB.
_BATCH_CELLS = 4_000_000
_POWER = 0.8
# Differences of float sums: two runs that agree must not differ in the last bit.
_EQUAL = 1e-12
# Sign flips of equal size must tie, though their means differ in the last bits: means are rounded
# to multiples of this. It is irrational, so that no mean, a fraction, lies half-way between two.
_GRAIN = math.sqrt(2) * 1e-10


@dataclass(frozen=True)
class MeanScore:
    """A run's mean by a measure, higher is better, with its interval as ``interval`` gives it."""

    run: str
    measure: str
    mean: float
    interval: Interval | None


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
        scored: scores by the run's name, all by the same qrels.
        baseline: one of the names.
        measures: names of measures that all runs were scored by.
        seed: of the bootstrap and the sign flips.
        resamples: draws of each; where there are fewer sign flips than that, each is tried once.
            By default, as many as ``draws_for`` gives.

    Returns:
        By measure, then by run in the order given. Holm's correction is over the runs for the first
        measure, so that no further measure changes its result, and over all comparisons for each
        further measure.

    Raises:
        InputError: the baseline is unknown or the only run, or the scores are over different
            queries.
    """
    if baseline not in scored:
        raise InputError(f"the baseline {baseline!r} is none of the runs: {', '.join(scored)}")
    others = [name for name in scored if name != baseline]
    if not others:
        raise InputError("there is nothing to compare: give a run beside the baseline")
    comparisons = []
    for measure in measures:
        before = scored[baseline].by_query[measure]
        for name in others:
            after = scored[name].by_query[measure]
            if after.keys() != before.keys():
                raise InputError(f"{name} and {baseline} were scored over different queries")
            gaps = {query: after[query] - before[query] for query in before}
            compared = _compare(measure, name, baseline, list(gaps.values()), seed, resamples)
            absent = {*scored[baseline].missing, *scored[name].missing} & gaps.keys()
            from_absent = math.fsum(gaps[query] for query in absent) / len(gaps)
            comparisons.append(replace(compared, absent=len(absent), from_absent=from_absent))
    ps = [comparison.randomisation for comparison in comparisons]
    corrected = [*holm(ps[: len(others)]), *holm(ps)[len(others) :]]
    pairs = zip(comparisons, corrected, strict=True)
    return [replace(comparison, holm=p) for comparison, p in pairs]


def mean_scores(
    scored: Mapping[str, Scores], measures: Sequence[str], *, seed: int = 0
) -> list[MeanScore]:
    """Gives each run's means with their intervals, by measure, then by run.

    Args:
        scored: scores by the run's name.
        measures: names of measures that all runs were scored by.
        seed: of the bootstrap.
    """
    return [
        MeanScore(
            run=name,
            measure=measure,
            mean=scores.means[measure],
            interval=interval(list(scores.by_query[measure].values()), seed=seed),
        )
        for measure in measures
        for name, scores in scored.items()
    ]


def draws_for(queries: int) -> int:
    """Gives the number of draws for so many queries: 20,000, and fewer for more than 1,000.

    For 10,000 queries it is 2,000: a p of .05 then comes out within .01 of it 19 times in 20, and
    the smallest two-sided p is .001.
    """
    return min(RESAMPLES, max(1000, _MAX_DRAWN // max(1, queries)))


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """Corrects p-values for their number, step by step from the smallest (Holm 1979).

    Args:
        ps: None where there was no test, which does not count.

    Returns:
        Corrected values, at most 1, in the same order.
    """
    tested = sorted((p, index) for index, p in enumerate(ps) if p is not None)
    corrected: list[float | None] = [None] * len(ps)
    largest = 0.0
    for step, (p, index) in enumerate(tested):
        largest = max(largest, min(1.0, p * (len(tested) - step)))
        corrected[index] = largest
    return corrected


def interval(
    values: Sequence[float], *, seed: int = 0, resamples: int | None = None
) -> Interval | None:
    """Gives the 95% confidence interval of a mean, by bias-corrected and accelerated bootstrap.

    Args:
        values: one of each query.
        seed: of the draws.
        resamples: the number of draws; by default as many as ``draws_for`` gives.

    Returns:
        None with fewer than two values, or where all values are equal.
    """
    import numpy as np
    from scipy.stats import bootstrap

    if len(values) < 2 or max(values) - min(values) <= _EQUAL:
        return None
    ends = bootstrap(
        (np.asarray(values),),
        np.mean,
        n_resamples=resamples or draws_for(len(values)),
        batch=max(1, _BATCH_CELLS // len(values)),
        confidence_level=Interval.level,
        method="BCa",
        rng=_generator(seed),
    ).confidence_interval
    return Interval(float(ends.low), float(ends.high))


def _generator(seed: int) -> object:
    from numpy.random import default_rng

    if seed < 0:
        raise InputError(f"`seed` must be at least 0, not {seed}")
    return default_rng(seed)


def _compare(
    measure: str, name: str, baseline: str, gaps: Sequence[float], seed: int, resamples: int | None
) -> Comparison:
    import numpy as np
    from scipy import stats

    differences = np.asarray([0.0 if abs(gap) <= _EQUAL else gap for gap in gaps])
    count, mean = len(differences), float(differences.mean())
    deviation = float(differences.std(ddof=1)) if count > 1 else 0.0
    t_test = randomisation = effect = detectable = None
    if deviation > _EQUAL:
        t_test = float(stats.ttest_1samp(differences, 0.0).pvalue)
        effect = mean / deviation
        # Both quantiles of t: close to the exact, non-central form from ten queries on.
        quantiles = stats.t.ppf([0.975, _POWER], count - 1)
        detectable = float(quantiles.sum()) * deviation / math.sqrt(count)
    if count > 1:
        # With one sample, "samples" flips signs; scipy counts the observed one among the draws.
        test = stats.permutation_test(
            (differences,),
            lambda flipped, axis: np.round(flipped.mean(axis=axis) / _GRAIN),
            permutation_type="samples",
            vectorized=True,
            n_resamples=resamples or draws_for(count),
            batch=max(1, _BATCH_CELLS // count),
            alternative="two-sided",
            rng=_generator(seed),
        )
        randomisation = min(1.0, float(test.pvalue))
    return Comparison(
        measure=measure,
        run=name,
        baseline=baseline,
        queries=count,
        difference=mean,
        interval=interval(differences.tolist(), seed=seed, resamples=resamples),
        wins=int((differences > 0).sum()),
        ties=int((differences == 0).sum()),
        losses=int((differences < 0).sum()),
        effect=effect,
        t_test=t_test,
        randomisation=randomisation,
        holm=None,
        detectable=detectable,
    )
