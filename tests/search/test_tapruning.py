import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.search.registry import run_search
from rankprompt.search.tapruning import is_tolerated
from tests.search.toys import by_hash, start

SCORES = st.floats(-1e6, 1e6)


@pytest.mark.parametrize(
    ("score", "best", "passes"),
    [
        (96.0, 100.0, True),
        (95.9, 100.0, False),
        (101.0, 100.0, True),
        # The paper's ratio would let -200 pass beside -100, and -90 not.
        (-104.0, -100.0, True),
        (-104.1, -100.0, False),
        (-90.0, -100.0, True),
        (0.0, 0.0, True),
        (-1e-9, 0.0, False),
        (None, -100.0, False),
        (-100.0, None, True),
        (None, None, False),
    ],
)
def test_the_tolerance_is_signed(score: float | None, best: float | None, passes: bool) -> None:
    assert is_tolerated(score, best, 0.96) is passes


@given(st.floats(1e-3, 1e6), st.floats(1e-3, 1e6))
def test_for_positive_scores_it_is_the_papers_ratio(score: float, best: float) -> None:
    if abs(score / best - 0.96) > 1e-9:
        assert is_tolerated(score, best, 0.96) == (score / best >= 0.96)


@given(SCORES, SCORES, st.floats(0.01, 1))
def test_what_is_no_worse_always_passes(one: float, other: float, acceptance: float) -> None:
    assert is_tolerated(max(one, other), min(one, other), acceptance)


def kept(text: str) -> str:
    return text.removesuffix(" {query}").strip()


def test_sweeps_go_from_left_to_right_until_one_drops_nothing() -> None:
    # w2 can go only once w4 is gone: a second sweep is needed.
    scores = {
        "w0 w1 w2 w3 w4": 1.0,
        "w1 w2 w3 w4": 0.5,
        "w0 w2 w3 w4": 0.97,
        "w0 w3 w4": 0.2,
        "w0 w2 w4": 0.3,
        "w0 w2 w3": 1.2,
        "w2 w3": 0.1,
        "w0 w3": 1.16,
        "w0": 0.0,
        "w3": 0.0,
    }
    asked: list[str] = []

    def fitness(prompts: Sequence[str]) -> list[float]:
        asked.extend(map(kept, prompts))
        return [scores[kept(prompt)] for prompt in prompts]

    search = start(5, fitness, method="tapruning")
    generations = list(run_search(search))
    assert asked == list(scores)
    assert [kept(g.survivors[0].text) for g in generations] == [
        "w0 w1 w2 w3 w4", "w0 w2 w3", "w0 w3", "w0 w3",
    ]  # fmt: skip
    assert search.stop == "no token can be dropped"
    assert search.best is not None
    # The climb ends lower, within the tolerance; the best that it met is kept.
    assert kept(search.best.text) == "w0 w2 w3"


def test_the_tolerance_is_of_the_best_so_far_so_losses_do_not_add_up() -> None:
    # Each drop costs 3% of what is left: only one passes, for the second is 5.9% below the best.
    search = start(12, lambda prompts: [0.97 ** (13 - len(p.split())) for p in prompts],
                   method="tapruning")  # fmt: skip
    last = list(run_search(search))[-1].survivors[0]
    assert last.length == 11


@pytest.mark.parametrize("sign", [0.0, -1.0])
def test_zero_and_negative_scores_end(sign: float) -> None:
    search = start(12, lambda prompts: [sign] * len(prompts), method="tapruning")
    last = list(run_search(search))[-1]
    assert last.survivors[0].length == 0


def test_infeasible_prompts_are_never_accepted() -> None:
    search = start(12, lambda prompts: [math.nan] * len(prompts), method="tapruning")
    generations = list(run_search(search))
    assert generations[-1].survivors[0].length == 12
    assert (len(search.history), search.best) == (13, None)
    seed_fails = start(
        12,
        lambda prompts: [math.nan if len(p.split()) == 13 else s
                         for p, s in zip(prompts, by_hash(prompts), strict=True)],
        method="tapruning",
    )  # fmt: skip
    list(run_search(seed_fails))
    assert seed_fails.best is not None


@pytest.mark.parametrize("method", ["tapruning", "random", "gga", "ssga"])
def test_all_methods_meet_the_same_budget_exactly(method: str) -> None:
    search = start(60, method=method, evaluations=40)
    list(run_search(search))
    assert search.archive.evaluations == 40
    assert search.stop == "the budget of 40 evaluations is spent"


def test_random_pruning_begins_with_the_seed_and_shrinks_nothing_below_the_minimum() -> None:
    search = start(30, method="random", evaluations=500, min_length=10)
    list(run_search(search))
    assert search.history[0].genome == search.seed.whole
    lengths = [one.length for one in search.history[1:]]
    assert (min(lengths), max(lengths)) == (10, 29)
    ended = start(2, method="random", exhaustion=3)
    list(run_search(ended))
    assert ended.stop == "no new prompt in 3 generations"


def test_the_unpruned_seed_is_one_evaluation() -> None:
    search = start(30, method="unpruned")
    (generation,) = run_search(search)
    assert [one.genome for one in generation.born] == [search.seed.whole]
    assert (search.archive.evaluations, search.stop) == (1, "the seed is scored")
    assert list(run_search(search)) == []
