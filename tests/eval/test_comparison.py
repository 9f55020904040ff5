"""Differences between runs, against scipy's own tests, enumeration, and the nominal error rate."""

import gc
import random
from itertools import product
from statistics import fmean

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats

from rankprompt.errors import InputError
from rankprompt.eval import Scores, compare, parse_measure, score
from rankprompt.eval.comparison import draws_for, holm, interval


def scores(values: list[float], measure: str = "ndcg@10") -> Scores:
    by_query = {f"q{i}": value for i, value in enumerate(values)}
    mean = sum(values) / len(values)
    return Scores({measure: mean}, {measure: by_query}, (), ())


# Means nearer to each other than a ten-thousandth of a millionth count as equal: none is that near.
SCORE = st.floats(0, 1).map(lambda score: round(score, 6))
VALUES = st.lists(st.tuples(SCORE, SCORE), min_size=3, max_size=9).filter(
    lambda pairs: len({round(b - a, 3) for a, b in pairs}) > 1
)


# Flips that are equal but for rounding.
@example(
    [
        (0.0, 0.6015625),
        (0.0, 0.12),
        (1.0, 0.6015625),
        (0.625, 0.48828125),
        (0.6015625, 0.0),
        (0.9609375, 0.0),
        (0.34375, 0.8046875),
        (0.0859375, 1.0),
    ]
)
@given(VALUES)
def test_the_t_test_is_scipys_and_the_randomisation_all_sign_flips(
    pairs: list[tuple[float, float]],
) -> None:
    before, after = map(list, zip(*pairs, strict=True))
    (found,) = compare({"a": scores(before), "b": scores(after)}, "a", ["ndcg@10"])
    assert found.t_test == pytest.approx(stats.ttest_rel(after, before).pvalue, rel=1e-6)
    gaps = [b - a for a, b in pairs]
    flipped = [
        abs(fmean(sign * gap for sign, gap in zip(signs, gaps, strict=True)))
        for signs in product((-1, 1), repeat=len(gaps))
    ]
    share = sum(mean >= abs(fmean(gaps)) - 1e-10 for mean in flipped) / len(flipped)
    assert found.randomisation == pytest.approx(share)
    assert found.wins + found.ties + found.losses == found.queries == len(pairs)
    assert found.difference == pytest.approx(sum(gaps) / len(gaps))
    assert found.effect is not None
    assert (found.effect > 0) == (found.difference > 0)


def test_drawn_sign_flips_never_give_a_p_of_zero_and_come_near_the_t_test() -> None:
    rng = random.Random(1)
    before = [rng.random() for _ in range(60)]
    (far,) = compare(
        {"a": scores(before), "b": scores([x + 0.5 + rng.random() for x in before])},
        "a",
        ["ndcg@10"],
        resamples=1000,
    )
    assert far.randomisation == pytest.approx(2 / 1001)
    (near,) = compare(
        {"a": scores(before), "b": scores([x + rng.gauss(0.02, 0.1) for x in before])},
        "a",
        ["ndcg@10"],
    )
    assert near.t_test == pytest.approx(near.randomisation, abs=0.02)


def test_random_splits_of_one_run_reject_one_time_in_twenty() -> None:
    rng = random.Random(2)
    documents = [f"d{number}" for number in range(30)]
    run = {f"q{n}": {name: rng.random() for name in documents} for n in range(40)}
    qrels = {query: {name: rng.choice((0, 0, 1, 2)) for name in documents} for query in run}
    values = list(score(run, qrels, [parse_measure("ndcg@10")]).by_query["ndcg@10"].values())
    rejected = 0
    for _ in range(400):
        rng.shuffle(values)
        halves = {"a": scores(values[:20]), "b": scores(values[20:])}
        (found,) = compare(halves, "a", ["ndcg@10"], resamples=400)
        rejected += found.randomisation is not None and found.randomisation <= 0.05
    # Binomial(400, .05) has a deviation of 4.4.
    assert 20 - 17 < rejected < 20 + 17


def test_the_detectable_difference_is_found_about_four_times_in_five() -> None:
    rng = random.Random(3)
    zeros = [0.0] * 30
    noise = [rng.gauss(0, 1) for _ in zeros]
    (found,) = compare({"a": scores(zeros), "b": scores(noise)}, "a", ["ndcg@10"])
    assert found.detectable is not None
    in_deviations = found.detectable / stats.tstd(noise)
    detected = sum(
        stats.ttest_1samp([rng.gauss(in_deviations, 1) for _ in zeros], 0).pvalue < 0.05
        for _ in range(500)
    )
    assert 0.74 < detected / 500 < 0.86


def test_many_queries_take_fewer_draws_and_few_all_of_them() -> None:
    assert [draws_for(n) for n in (1, 43, 1000, 10_000, 10**6)] == [20_000] * 3 + [2000, 1000]
    rng = random.Random(8)
    runs = {name: scores([rng.random() for _ in range(30)]) for name in "ab"}
    assert compare(runs, "a", ["ndcg@10"]) == compare(runs, "a", ["ndcg@10"], resamples=20_000)


def test_holm_as_in_a_worked_example() -> None:
    # .01 x 4, .005 x ... : step down, never below the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([None, 0.5, 0.9]) == [None, 1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_keeps_the_order_and_lies_between_the_raw_and_bonferroni(ps: list[float]) -> None:
    found = holm(ps)
    for p, corrected in zip(ps, found, strict=True):
        assert corrected is not None
        assert p <= corrected <= min(1.0, p * len(ps)) + 1e-12
    ranked = [corrected for _, corrected in sorted(zip(ps, found, strict=True))]
    assert ranked == sorted(ranked, key=lambda value: value or 0.0)


def test_holm_agrees_with_statsmodels(monkeypatch: pytest.MonkeyPatch) -> None:
    multitest = pytest.importorskip("statsmodels.stats.multitest", reason="no statsmodels here")
    rng = random.Random(4)
    # Each call collects garbage, half a second in a whole suite's process.
    monkeypatch.setattr(gc, "collect", lambda: 0)
    for _ in range(50):
        ps = [rng.random() ** 3 for _ in range(rng.randint(1, 9))]
        assert holm(ps) == pytest.approx(multitest.multipletests(ps, method="holm")[1].tolist())


def test_the_interval_covers_the_mean_as_often_as_it_says() -> None:
    rng = random.Random(5)
    covered = 0
    for seed in range(200):
        found = interval([rng.random() for _ in range(40)], seed=seed, resamples=500)
        assert found is not None
        covered += found.low <= 0.5 <= found.high
    assert 0.88 < covered / 200 <= 0.99


def test_what_allows_no_test_is_none_and_said() -> None:
    (single,) = compare({"a": scores([0.1]), "b": scores([0.4])}, "a", ["ndcg@10"])
    assert (single.t_test, single.randomisation, single.holm, single.interval) == (None,) * 4
    assert single.in_words() == "b against a by ndcg@10: a single query allows no test."
    (same,) = compare({"a": scores([0.1, 0.2]), "b": scores([0.1, 0.2])}, "a", ["ndcg@10"])
    assert (same.t_test, same.effect, same.interval) == (None, None, None)
    assert same.in_words() == "b against a by ndcg@10: the same on all 2 queries."
    assert interval([0.5]) is None
    assert interval([0.5, 0.5]) is None


def test_words_say_better_or_worse_and_whether_it_may_be_chance() -> None:
    before = [0.1 + i / 100 for i in range(20)]
    better = scores([x + 0.3 + i / 1000 for i, x in enumerate(before)])
    noise = scores([x + (0.1 if i % 2 else -0.11) for i, x in enumerate(before)])
    sure, unsure = compare({"a": scores(before), "b": better, "c": noise}, "a", ["ndcg@10"])
    assert "0.3095 better (20 queries better, 0 worse, 0 equal); unlikely to be" in sure.in_words()
    (one,) = compare({"a": scores([0.2, 0.3]), "b": scores([0.3, 0.3])}, "a", ["ndcg@10"])
    assert one.counts == "1 query better, 0 worse, 1 equal"
    assert "0.0050 worse" in unsure.in_words()
    assert "may well be chance" in unsure.in_words()
    assert "go unnoticed" in unsure.in_words()


def test_bad_input_is_refused() -> None:
    with pytest.raises(InputError, match="the baseline 'z' is none of the runs: a"):
        compare({"a": scores([0.1])}, "z", ["ndcg@10"])
    with pytest.raises(InputError, match="nothing to compare"):
        compare({"a": scores([0.1])}, "a", ["ndcg@10"])
    with pytest.raises(InputError, match="different queries"):
        compare({"a": scores([0.1]), "b": scores([0.1, 0.2])}, "a", ["ndcg@10"])


def test_the_same_seed_gives_the_same_comparison() -> None:
    rng = random.Random(6)
    runs = {name: scores([rng.random() for _ in range(30)]) for name in "abc"}
    first = compare(runs, "a", ["ndcg@10"], seed=3)
    assert first == compare(runs, "a", ["ndcg@10"], seed=3)
    assert first != compare(runs, "a", ["ndcg@10"], seed=4)
