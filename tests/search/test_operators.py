import random
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from scipy import stats

from rankprompt.search import SearchConfig
from rankprompt.search.operators import (
    global_random,
    pruned_copies,
    random_genome,
    replicate,
    seed_copies,
    toolbox,
    tournament,
)
from rankprompt.search.registry import run_search
from tests.search.toys import individual, start

DRAWS = 4000
UNLIKELY = 1e-3


def test_a_child_loses_one_to_four_tokens_each_number_and_each_token_equally_often() -> None:
    rng = random.Random(1)
    parent = (True, False, *(True,) * 10)
    lost = [
        [gene for gene in range(12) if parent[gene] and not child[gene]]
        for child in (replicate(parent, (1, 2, 3, 4), rng) for _ in range(DRAWS))
    ]
    numbers = Counter(map(len, lost))
    assert set(numbers) == {1, 2, 3, 4}
    assert stats.chisquare(list(numbers.values())).pvalue > UNLIKELY
    genes = Counter(gene for child in lost for gene in child)
    assert set(genes) == {0, *range(2, 12)}
    assert stats.chisquare(list(genes.values())).pvalue > UNLIKELY


def test_a_child_never_gains_a_token_and_few_live_ones_all_go() -> None:
    rng = random.Random(2)
    assert replicate((False, False), (1, 2, 3, 4), rng) == (False, False)
    assert replicate((False, True), (4,), rng) == (False, False)
    for _ in range(200):
        parent = tuple(rng.random() < 0.5 for _ in range(9))
        child = replicate(parent, (1, 2, 3, 4), rng)
        assert all(before or not after for before, after in zip(parent, child, strict=True))
        assert sum(child) == 0 or 1 <= sum(parent) - sum(child) <= 4


def test_tournaments_are_of_a_fifth_of_the_pool_drawn_with_replacement() -> None:
    rng = random.Random(3)
    pool = [individual(number, float(number)) for number in range(30)]
    won = Counter(tournament(pool, 0.2, rng).number for _ in range(DRAWS))
    # The best of 6 draws with replacement: P(winner <= n) = ((n + 1) / 30) ** 6.
    expected = [DRAWS * (((n + 1) / 30) ** 6 - (n / 30) ** 6) for n in range(30)]
    # The rare ones together, so that chi square holds.
    seen = [sum(won[n] for n in range(15)), *(won[n] for n in range(15, 30))]
    assert stats.chisquare(seen, [sum(expected[:15]), *expected[15:]]).pvalue > UNLIKELY


@pytest.mark.parametrize(
    ("size", "share", "drawn"), [(30, 0.2, 6), (79, 0.2, 15), (3, 0.2, 1), (100, 0.29, 29)]
)
def test_the_share_of_a_tournament_is_rounded_down_to_at_least_one(
    size: int, share: float, drawn: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[int] = []
    choice = random.choice

    def counting(pool: list[Any]) -> Any:
        counts.append(1)
        return choice(pool)

    monkeypatch.setattr(random, "choice", counting)
    tournament([individual(n, 0.0) for n in range(size)], share, random.Random(1))
    assert len(counts) == drawn


def test_the_best_children_survive_and_of_equals_the_elder() -> None:
    box = toolbox(SearchConfig(population=3), random.Random(1))
    scores = [0.5, None, -1.0, 2.0, 0.5, 0.5]
    survivors = box.survive([individual(n, score) for n, score in enumerate(scores)])
    assert [one.number for one in survivors] == [3, 0, 4]
    survivors = box.survive([individual(n, None) for n in range(5)])
    assert [one.number for one in survivors] == [0, 1, 2]


def test_with_two_objectives_the_front_survives_and_the_infeasible_last() -> None:
    box = toolbox(SearchConfig(population=4, pareto=True), random.Random(1))
    made = [(1.0, 5), (0.5, 5), (0.5, 2), (None, 1), (2.0, 9), (0.1, 8)]
    children = [individual(n, s, length, pareto=True) for n, (s, length) in enumerate(made)]
    assert [one.number for one in box.survive(children)] == [0, 2, 4, 1]
    box = toolbox(SearchConfig(population=6, pareto=True), random.Random(1))
    assert box.survive(children)[-1].number == 3
    box.prepare(children)
    ranked = sorted(children, key=lambda one: one.crowding, reverse=True)
    assert {one.number for one in ranked[:3]} == {0, 2, 4}
    assert ranked[-1].number == 3


def test_deap_draws_from_the_lent_generator_and_gives_it_back() -> None:
    rng, twin = random.Random(5), random.Random(5)
    before = random.getstate()
    with global_random(rng):
        assert random.random() == twin.random()
    assert random.getstate() == before
    assert rng.random() == twin.random()


def test_the_first_population_is_copies_or_copies_pruned_at_their_own_rates() -> None:
    whole = (True,) * 200
    assert seed_copies(whole, 3) == [whole] * 3
    made = pruned_copies(whole, 500, (0.05, 0.2), random.Random(6))
    rates = [1 - sum(genome) / 200 for genome in made]
    # A rate uniform on [.05, .2], and binomial noise upon it.
    assert abs(sum(rates) / 500 - 0.125) < 0.01
    assert min(rates) < 0.06
    assert max(rates) > 0.18
    assert stats.kstest(rates, stats.uniform(0.05, 0.15).cdf).statistic < 0.1


def test_random_genomes_have_every_length_equally_often() -> None:
    rng = random.Random(7)
    lengths = Counter(sum(random_genome(12, 5, rng)) for _ in range(DRAWS))
    assert set(lengths) == set(range(5, 12))
    assert stats.chisquare(list(lengths.values())).pvalue > UNLIKELY


def test_a_search_s_parents_and_losses_are_the_paper_s() -> None:
    search = start(40, min_length=10)
    generations = list(run_search(search))
    lost: Counter[int] = Counter()
    for before, generation in pairwise(generations):
        parents = {one.number for one in before.survivors}
        assert len(parents) == 30
        assert len(generation.born) == 50
        for child in generation.born:
            (parent,) = child.parents
            assert parent in parents
            lost[search.history[parent].length - child.length] += 1
    assert set(lost) == {1, 2, 3, 4}
    assert stats.chisquare(list(lost.values())).pvalue > UNLIKELY
