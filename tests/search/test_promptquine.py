import math
import random
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from rankprompt.errors import InputError
from rankprompt.prompts.template import parse_template
from rankprompt.search import Archive, Prunable, SearchConfig, SeedPrompt
from rankprompt.search.history import pareto_front, record, top_share
from rankprompt.search.registry import run_search
from rankprompt.search.search_state import ExternalStop, SearchState
from tests.search.toys import by_hash, individual, on_texts, seed_of, start, words


class Counting:
    """by_hash that keeps what it was asked."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    def __call__(self, prompts: Sequence[str]) -> list[float]:
        self.batches.append(list(prompts))
        return by_hash(prompts)


def test_gga_asks_a_generation_at_once_from_one_fixed_pool_and_no_text_twice() -> None:
    fitness = Counting()
    search = start(30, fitness, method="gga")
    generations = list(run_search(search))
    assert [len(batch) for batch in fitness.batches] == [
        g.row["new"] for g in generations if g.row["new"]
    ]
    asked = [text for batch in fitness.batches for text in batch]
    assert len(asked) == len(set(asked)) == search.archive.evaluations
    assert asked == list(map(str, search.archive.scores))
    for before, after in pairwise(generations):
        assert {one.parents[0] for one in after.born} <= {one.number for one in before.survivors}


def test_ssga_asks_one_by_one_and_a_child_may_parent_the_next() -> None:
    fitness = Counting()
    search = start(30, fitness, method="ssga")
    generations = list(run_search(search))
    assert {len(batch) for batch in fitness.batches} == {1}
    young = 0
    for before, after in pairwise(generations):
        allowed = {one.number for one in before.survivors}
        for child in after.born:
            assert child.parents[0] in allowed
            young += child.parents[0] >= after.born[0].number
            allowed.add(child.number)
    assert young > len(search.history) / 10


@pytest.mark.parametrize("method", ["gga", "ssga"])
def test_survivors_are_the_best_thirty_children_and_no_parent(method: str) -> None:
    for number, generation in enumerate(run_search(start(30, method=method))):
        assert generation.number == number
        scores = sorted((one.score or 0 for one in generation.born), reverse=True)
        assert [one.score for one in generation.survivors] == scores[:30]
        assert {one.generation for one in generation.survivors} == {number}


def test_the_first_generation_is_one_evaluation_of_thirty_copies() -> None:
    first = next(run_search(start(20)))
    assert len(first.born) == 30
    assert first.row["evaluations"] == 1
    assert [one.new for one in first.born] == [True] + [False] * 29
    pruned = next(run_search(start(100, start="pruned")))
    assert pruned.row["evaluations"] == 30


def test_the_same_seed_gives_the_same_search_whatever_the_global_generator_does() -> None:
    random.seed(1)
    one = start(20, seed=3)
    list(run_search(one))
    random.seed(2)
    other = start(20, seed=3)
    list(run_search(other))
    assert [record(x) for x in one.history] == [record(x) for x in other.history]
    third = start(20, seed=4)
    list(run_search(third))
    assert [x.text for x in one.history] != [x.text for x in third.history]


@pytest.mark.parametrize("method", ["gga", "ssga"])
@pytest.mark.parametrize("budget", [1, 2, 37, 100])
def test_the_budget_of_evaluations_is_met_exactly(method: str, budget: int) -> None:
    search = start(60, method=method, evaluations=budget)
    list(run_search(search))
    assert search.archive.evaluations == budget
    assert search.stop == f"the budget of {budget} evaluations is spent"


def test_a_search_ends_at_the_minimal_mean_length() -> None:
    search = start(40, min_length=15)
    lengths = [generation.row["length_mean"] for generation in run_search(search)]
    assert min(lengths[:-1]) > 15 >= lengths[-1]
    assert search.stop == "the mean length is no more than 15"
    with pytest.raises(InputError, match="has 15 prunable tokens and the minimal length is 15"):
        next(run_search(start(15, min_length=15)))


def test_a_search_ends_when_nothing_gets_better_and_when_nothing_is_new() -> None:
    search = start(60, lambda prompts: [1.0] * len(prompts), stagnation=3)
    list(run_search(search))
    # All score the same, and a shorter one is a better best: the length alone improves.
    assert search.generation > 10
    assert search.best is not None
    assert search.best.length == 0
    seed_is_best = start(60, lambda prompts: [float(len(p)) for p in prompts], stagnation=3)
    list(run_search(seed_is_best))
    assert seed_is_best.generation == 4
    assert seed_is_best.stop == "no better prompt in 3 generations"


def test_a_search_whose_every_child_is_a_duplicate_ends() -> None:
    search = start(2, exhaustion=4, restart=True)
    rows = [generation.row for generation in run_search(search)]
    assert search.archive.evaluations == 4
    assert [row["new"] for row in rows[-4:]] == [0] * 4
    assert search.stop == "no new prompt in 4 generations"


def test_a_restart_begins_from_the_seed_with_all_that_is_known() -> None:
    search = start(30, restart=True, evaluations=2000)
    generations = list(run_search(search))
    again = [g for g in generations[1:] if g.row["length_mean"] == 30]
    assert len(again) >= 2
    assert all(g.row["new"] == 0 and not one.parents for g in again for one in g.born)
    assert search.archive.evaluations == 2000


def test_minutes_a_stop_file_and_the_model_s_budget_end_a_search(tmp_path: Path) -> None:
    search = start(60, minutes=1)
    search.seconds = 60
    assert list(run_search(search)) == []
    assert search.stop == "1 minutes are over"

    stop_file = tmp_path / "stop"
    search, seen = start(60), 0
    for seen, _ in enumerate(run_search(search, ExternalStop(file=stop_file)), 1):
        if seen == 3:
            stop_file.touch()
    assert (seen, search.stop) == (3, f"the stop file {stop_file} exists")

    search = start(60)
    limits = ExternalStop(budget_spent=lambda: search.archive.evaluations > 20)
    assert len(list(run_search(search, limits))) == 2
    assert search.stop == "the budget of the model is spent"


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("pareto", [False, True])
def test_scores_that_are_no_numbers_are_infeasible_worst_and_counted(
    bad: float, pareto: bool
) -> None:
    def fitness(prompts: Sequence[str]) -> list[float]:
        return [bad if score > 0 else score for score in by_hash(prompts)]

    search = start(30, fitness, pareto=pareto)
    for generation in run_search(search):
        scores = [one.score for one in generation.survivors]
        if None in scores:
            born = [one for one in generation.born if one.score is not None]
            assert len(born) <= scores.index(None) or pareto
            assert all(score is None for score in scores[scores.index(None) :])
    assert search.best is not None
    assert search.best.score == max(
        score for score in by_hash(list(map(str, search.archive.scores))) if score <= 0
    )
    assert search.archive.infeasible == sum(
        by > 0 for by in by_hash(list(map(str, search.archive.scores)))
    )
    assert 0 < search.archive.infeasible < search.archive.evaluations


@pytest.mark.parametrize("pareto", [False, True])
def test_a_search_where_all_are_infeasible_goes_on_and_finds_nothing(pareto: bool) -> None:
    search = start(20, lambda prompts: [math.nan] * len(prompts), pareto=pareto)
    rows = [generation.row for generation in run_search(search)]
    assert search.best is None
    assert len(rows) > 5
    assert rows[-1]["score_mean"] is None
    assert rows[-1]["infeasible"] == rows[-1]["evaluations"]
    assert top_share(search.history, 0.1) == pareto_front(search.history) == []


@pytest.mark.parametrize("shift", [0.0, -5.0])
def test_scores_of_zero_and_below_are_scores_like_others(shift: float) -> None:
    plain = start(20)
    list(run_search(plain))
    shifted = start(20, lambda prompts: [score + shift for score in by_hash(prompts)])
    list(run_search(shifted))
    assert [one.text for one in plain.history] == [one.text for one in shifted.history]
    zero = start(20, lambda prompts: [0.0] * len(prompts))
    list(run_search(zero))
    assert zero.best is not None
    assert (zero.best.score, zero.best.length) == (0.0, 0)


def test_genomes_that_render_alike_are_one_prompt() -> None:
    fitness = Counting()
    seed = SeedPrompt([Prunable(" a a a a")], words)
    search = SearchState(seed, SearchConfig(min_length=0), Archive(on_texts(fitness)))
    list(run_search(search))
    assert sorted(map(str, search.archive.scores)) == ["", " a", " a a", " a a a", " a a a a"]
    assert search.archive.evaluations == 5
    assert len(search.history) > 30
    assert len({one.genome for one in search.history}) > 5
    assert sum(one.new for one in search.history) == 5


def test_a_fitness_that_loses_scores_is_an_error() -> None:
    with pytest.raises(ValueError, match="gave 0 scores for 1 prompts"):
        Archive(on_texts(lambda _: []))([parse_template("a")])


def test_two_objectives_keep_short_prompts_that_one_would_lose() -> None:
    # Long prompts score high: the score alone never sees the short ones early.
    def fitness(prompts: Sequence[str]) -> list[float]:
        return [
            len(prompt.split()) + score
            for prompt, score in zip(prompts, by_hash(prompts), strict=True)
        ]

    lengths = {}
    for pareto in (False, True):
        search = start(30, fitness, pareto=pareto, evaluations=300)
        rows = [generation.row for generation in run_search(search)]
        lengths[pareto] = rows[3]["length_mean"]
        kept = pareto_front(search.history)
        assert all(a.score > b.score and a.length > b.length for a, b in pairwise(kept))  # type: ignore[operator]
        for one in search.history:
            assert any(
                other.score >= one.score and other.length <= one.length  # type: ignore[operator]
                for other in kept
            )
    assert lengths[True] < lengths[False]


def test_the_top_share_is_of_distinct_feasible_prompts_best_first() -> None:
    history = [individual(n, None if n == 7 else float(n % 10)) for n in range(30)]
    for one in history:
        one.text = str(one.number % 15)
    chosen = top_share(history, 0.2)
    assert [one.number for one in chosen] == [9, 8, 6]
    assert [one.number for one in top_share(history, 0.001)] == [9]


def test_the_history_tells_lengths_in_genes_and_in_tokens_anew() -> None:
    search = start(20)
    list(run_search(search))
    seed = seed_of(20)
    for one in search.history:
        assert one.length == sum(one.genome)
        assert one.text == str(seed.template(one.genome))
        # The last token of this tokenizer is the space before the slot, which is none alone.
        assert one.tokens == len(one.text.split()) - 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "gaa"}, "unknown method 'gaa'; did you mean 'gga'"),
        ({"start": "none"}, "unknown start"),
        ({"population": 0}, "`population` must be from 1 to 100000, not 0"),
        ({"tournament": 0.0}, "`tournament` is a share"),
        ({"acceptance": 1.1}, "`acceptance` is a share"),
        ({"mutations": ()}, "`mutations` are whole numbers from 1"),
        ({"mutations": (0, 1)}, "`mutations` are whole numbers from 1"),
        ({"start_pruned": (0.3, 0.2)}, "two rates, ascending"),
        ({"min_length": -1}, "`min_length` must be at least 0"),
        ({"minutes": 0}, "`minutes` must be above 0"),
        ({"minutes": math.nan}, "`minutes` must be a finite number"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SearchConfig(**settings)  # type: ignore[arg-type]
