"""The sentence about a difference: what it says of queries that a run lacks, and of chance."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.eval import Comparison, Scores, compare

QUERIES = [f"q{number}" for number in range(40)]


def scores(by_query: dict[str, float], queries: list[str] = QUERIES) -> Scores:
    """Scores of a run that lacks all queries but those of ``by_query``."""
    values = {query: by_query.get(query, 0.0) for query in queries}
    missing = tuple(query for query in queries if query not in by_query)
    return Scores({"mrr": sum(values.values()) / len(values)}, {"mrr": values}, missing, ())


def compared(
    before: dict[str, float], after: dict[str, float], resamples: int | None = None
) -> Comparison:
    scored = {"a": scores(before), "b": scores(after)}
    (found,) = compare(scored, "a", ["mrr"], resamples=resamples)
    return found


BEFORE = {query: 0.4 + number / 100 for number, query in enumerate(QUERIES)}


def test_a_loss_by_absent_queries_is_no_finding_whichever_run_lacks_them() -> None:
    few = {query: BEFORE[query] + 0.1 for query in QUERIES[:12]}
    found = compared(BEFORE, few)
    assert (found.absent, found.holm is not None and found.holm < 0.001) == (28, True)
    assert found.from_absent == pytest.approx(-sum(BEFORE[q] for q in QUERIES[12:]) / 40)
    assert not found.significant
    assert found.in_words() == (
        "b against a by mrr: 0.4285 worse (12 queries better, 28 worse, 0 equal), but most of that "
        "comes from 28 absent queries, counted as 0; on the 12 queries that both have, 0.1000 "
        "better; --shared tests the queries that all runs have."
    )
    assert compared(few, BEFORE).in_words() == (
        "b against a by mrr: 0.4285 better (28 queries better, 12 worse, 0 equal), but most of "
        "that comes from 28 absent queries, counted as 0; on the 12 queries that both have, 0.1000 "
        "worse; --shared tests the queries that all runs have."
    )


def test_a_gain_that_absent_queries_hide_is_not_called_chance() -> None:
    most = {query: BEFORE[query] + 0.03 for query in QUERIES[:38]}
    found = compared(BEFORE, most)
    assert found.difference < 0
    assert "chance" not in found.in_words()
    assert "but most of that comes from 2 absent queries" in found.in_words()
    assert "on the 38 queries that both have, 0.0300 better" in found.in_words()


def test_where_shared_queries_make_most_of_it_the_absent_ones_are_told_beside_the_p() -> None:
    found = compared(BEFORE, {query: BEFORE[query] - 0.2 for query in QUERIES[1:]})
    assert found.significant
    assert found.in_words() == (
        "b against a by mrr: 0.2050 worse (0 queries better, 40 worse, 0 equal); unlikely to be "
        "chance (corrected p below .001, with 1 absent query counted as 0); on the 39 queries that "
        "both have, 0.2000 worse."
    )
    rng = random.Random(1)
    noisy = {query: BEFORE[query] + rng.gauss(0, 0.2) for query in QUERIES[1:]}
    words = compared({**BEFORE, "q0": 0.001}, noisy).in_words()
    assert "may well be chance (corrected p 0." in words
    assert ", with 1 absent query counted as 0); with so many queries" in words
    assert "go unnoticed; on the 39 queries that both have, 0.0" in words


def test_runs_without_a_common_query_and_runs_that_lack_the_same_ones() -> None:
    halves = [{query: BEFORE[query] for query in QUERIES[start::2]} for start in (0, 1)]
    assert compared(halves[0], halves[1]).in_words() == (
        "b against a by mrr: no query is in both runs, so nothing is compared."
    )
    assert compared(halves[0], halves[0]).in_words() == (
        "b against a by mrr: the same on all 40 queries, 20 of which a run lacks."
    )


VALUE = st.integers(0, 20).map(lambda n: n / 20)
RUN = st.dictionaries(st.sampled_from(QUERIES[:9]), VALUE, min_size=2)


@given(RUN, RUN)
def test_chance_is_named_only_where_shared_queries_make_most_of_the_difference(
    before: dict[str, float], after: dict[str, float]
) -> None:
    found = compared(before, after, resamples=500)
    shared = before.keys() & after.keys()
    by_shared = sum(after[query] - before[query] for query in shared)
    by_absent = sum(after.values()) - sum(before.values()) - by_shared
    assert found.absent == len(QUERIES) - len(shared)
    assert found.from_absent * len(QUERIES) == pytest.approx(by_absent, abs=1e-9)
    assert found.difference * len(QUERIES) == pytest.approx(by_shared + by_absent, abs=1e-9)
    if abs(by_absent) > abs(by_shared) + 1e-9:
        assert not found.significant
        assert "chance" not in found.in_words()


def test_the_first_measure_is_corrected_for_the_runs_and_the_others_for_everything() -> None:
    rng = random.Random(5)
    names = ["ndcg@10", "map", "mrr"]

    def random_scores(shift: float) -> Scores:
        values = {n: {q: rng.random() + shift for q in QUERIES} for n in names}
        return Scores({n: sum(of.values()) / 40 for n, of in values.items()}, values, (), ())

    runs = {"a": random_scores(0), "b": random_scores(0.2), "c": random_scores(0.15)}
    alone = compare(runs, "a", names[:1])
    together = compare(runs, "a", names)
    assert together[:2] == alone
    (small, large) = sorted(one.randomisation or 0.0 for one in alone)
    assert sorted(one.holm or 0.0 for one in alone) == [2 * small, max(2 * small, large)]
    least = min(together[2:], key=lambda one: one.randomisation or 0.0)
    ps = [one.randomisation or 0.0 for one in together]
    assert least.randomisation is not None
    rank = sum(p < least.randomisation for p in ps)
    assert least.holm is not None
    assert least.holm >= min(1.0, (len(ps) - rank) * least.randomisation) > least.randomisation
