"""Successive halving: who is scored on what, and what is compared with what."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.errors import InputError
from rankprompt.llm.base import Answer, Request
from rankprompt.prompts.template import Template, parse_template
from rankprompt.rankers.seeded_random import uniform
from rankprompt.search import Archive, EvolveConfig, SearchConfig
from rankprompt.search.evolution import run_evolution
from rankprompt.search.fitness.base import take_share
from rankprompt.search.fitness.choice import ChoiceProblem
from rankprompt.search.history import format_line, parse_history, record, top_share
from rankprompt.search.individual import Individual
from rankprompt.search.registry import run_search
from rankprompt.search.run_folder import RunFolder
from rankprompt.search.search_state import SearchState
from tests.fakes import FakeModel
from tests.search.toys import seed_of
from tests.search.worlds import offsets, opinion, scorer_of, write_task


class Shares:
    """Scores that look random and depend on text and share; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, str]] = []

    def __call__(self, prompts: Sequence[Template], /, *, share: float) -> list[float]:
        texts = [str(prompt) for prompt in prompts]
        self.asked += [(share, text) for text in texts]
        return [score_of(text, share) for text in texts]


def templates(texts: Iterable[str]) -> list[Template]:
    return [parse_template(text) for text in texts]


def score_of(text: str, share: float) -> float:
    # The more examples, the nearer to what the prompt is worth; some are infeasible.
    worth, noise = uniform(1, text), uniform(2, text, str(share)) - 0.5
    return math.nan if uniform(3, text) < 0.05 else worth + noise * (1 - share)


def test_a_half_gets_further_each_time() -> None:
    worth = {"a": 4.0, "b": 1.0, "c": 3.0, "d": 2.0, "e": 4.0}
    asked: list[tuple[float, list[str]]] = []

    def fitness(prompts: Sequence[Template], /, *, share: float) -> list[float]:
        texts = [str(prompt) for prompt in prompts]
        asked.append((share, texts))
        return [worth[text] + share for text in texts]

    archive = Archive(fitness, rungs=3)
    # Of the equals "a" and "e" the earlier one gets further; what stands twice races once.
    found = archive(templates("ebcdab"))
    assert asked == [(0.25, ["e", "b", "c", "d", "a"]), (0.5, ["e", "c", "a"]), (1.0, ["e", "a"])]
    assert found[0] == (4.25, 4.5, 5.0)
    assert found[1] == found[5] == (1.25,)
    assert found[2] == (3.25, 3.5)
    assert (archive.evaluations, list(map(str, archive.scores))) == (5, ["e", "a"])


@given(st.lists(st.text("abc", max_size=3), min_size=1), st.integers(1, 4))
def test_only_scores_on_the_same_examples_are_compared(texts: list[str], rungs: int) -> None:
    fitness = Shares()
    archive = Archive(fitness, rungs=rungs)
    found = archive(templates(texts))
    individuals = [
        Individual(n, 0, (), (True,), text, 1, 1, None, True, scores)
        for n, (text, scores) in enumerate(zip(texts, found, strict=True))
    ]
    for one in individuals:
        for other in individuals:
            common = min(len(one.rungs), len(other.rungs)) - 1
            mine, theirs = one.rungs[common], other.rungs[common]
            if one.fitness > other.fitness:
                # Better or, where the one got further among equals, as good.
                assert mine is not None
                assert theirs is None or mine >= theirs
            if None not in (mine, theirs) and mine > theirs and len(one.rungs) == len(other.rungs):  # type: ignore[operator]
                assert one.fitness > other.fitness
    assert len(fitness.asked) == len(set(fitness.asked))
    sizes = [len(scores) for scores in archive.rungs]
    assert all(after <= (before + 1) // 2 for before, after in pairwise(sizes))


def test_who_comes_again_races_again_and_is_not_asked_what_is_known() -> None:
    fitness = Shares()
    archive = Archive(fitness, rungs=2)
    texts = [f"t{n}" for n in range(20)]
    first = dict(zip(texts, archive(templates(texts)), strict=True))
    lost = [one for one in texts if len(first[one]) == 1 and first[one][0] is not None]
    again = dict(zip(lost, archive(templates(lost)), strict=True))
    assert any(len(scores) == 2 for scores in again.values())
    assert all(again[one][0] == first[one][0] for one in lost)
    assert len(fitness.asked) == len(set(fitness.asked))
    # Who had got to the end may fall out of a better race.
    best = max(lost, key=lambda one: again[one][0] or 0)
    assert archive(templates([best])) == [again[best]]
    archive(templates([text for text in texts if len(first[text]) == 2]))
    assert archive.evaluations == 20


def begin(fitness: Shares, rungs: int, evaluations: int = 400) -> SearchState:
    settings = SearchConfig(min_length=0, evaluations=evaluations, rungs=rungs)
    return SearchState(seed_of(40), settings, Archive(fitness, rungs=rungs))


def test_only_who_was_scored_on_everything_can_win() -> None:
    fitness = Shares()
    search = begin(fitness, 3)
    for generation in run_search(search):
        order = [one.fitness for one in generation.survivors]
        assert order == sorted(order, reverse=True)
        assert len(generation.survivors[0].rungs) == 3
    whole = {text for share, text in fitness.asked if share == 1}
    assert {one.text for one in search.history if one.score is not None} <= whole
    assert search.best is not None
    assert search.best.score == max(score_of(one, 1) for one in whole)
    assert top_share(search.history, 0.1)[0].score == search.best.score
    assert search.archive.evaluations == 400
    # Answers about the smaller share are in the journal when the greater one is asked for.
    spent = {text: share for share, text in sorted(fitness.asked)}
    assert sum(spent.values()) < 0.6 * 400
    for one in search.history:
        (again,) = parse_history(format_line(one).encode(), pareto=False)
        assert record(again) == record(one)


def outcome(search: SearchState) -> tuple[object, ...]:
    rows = [{k: v for k, v in row.items() if k != "seconds"} for row in search.logbook]
    history = [record(one) for one in search.history]
    return history, [list(one.items()) for one in search.archive.rungs], search.rng.getstate(), rows


def finish(folder: Path, fitness: Shares, method: str, generations: int = 1000) -> SearchState:
    settings = SearchConfig(method=method, evaluations=300, min_length=0, rungs=3)
    with RunFolder(folder, seed_of(40), settings, {}) as run:
        search = run.resume(fitness)
        for done, _ in enumerate(run_search(search), 1):
            run.save(search)
            if done == generations:
                break
    return search


@pytest.mark.parametrize("method", ["gga", "random"])
@pytest.mark.parametrize("damaged", ["", "checkpoint.json", "history.jsonl"])
def test_resumed_it_is_as_if_never_stopped(tmp_path: Path, method: str, damaged: str) -> None:
    whole_fitness, fitness = Shares(), Shares()
    whole = finish(tmp_path / "whole", whole_fitness, method)
    for _ in range(whole.generation + 1):
        pieces = finish(tmp_path / "pieces", fitness, method, generations=1)
        if damaged and pieces.generation == 3 and fitness.asked:
            path = tmp_path / "pieces" / damaged
            content = path.read_bytes()
            path.write_bytes(content[:50] + b"#" + content[51:])
            finish(tmp_path / "pieces", fitness, method, generations=3)
    assert outcome(pieces) == outcome(whole)
    if damaged != "history.jsonl":  # a damaged line's scores are asked again
        assert fitness.asked == whole_fitness.asked


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=30))
def test_a_share_is_of_all_kinds_and_among_a_greater_one(kinds: list[str]) -> None:
    places = list(range(len(kinds)))
    before: set[int] = set()
    for share in (0.25, 0.5, 1.0):
        taken = take_share(places, kinds, share)
        assert taken == sorted(taken)
        assert len(taken) == math.ceil(share * len(kinds))
        assert before <= set(taken)
        before = set(taken)
        counts = {kind: sum(kinds[place] == kind for place in taken) for kind in set(kinds)}
        for kind, count in counts.items():
            assert count == kinds.count(kind) or count >= max(counts.values()) - 1
    assert take_share(places, kinds, 1.0) == places


def test_a_task_s_share_is_scored_alone(tmp_path: Path) -> None:
    model = FakeModel(opinion)
    scorer = scorer_of(write_task(tmp_path), model, ChoiceProblem)
    (half,) = scorer(["{text}"], share=0.5)
    assert len(model.prompts) == 2
    (whole,) = scorer(["{text}"])
    assert len(model.prompts) == 4
    assert half != whole == scorer.measures(["{text}"], "search")[0]["reward"]


def test_a_run_with_rungs_is_resumed_and_asks_less(tmp_path: Path) -> None:
    settings = SearchConfig(
        evaluations=40, population=4, offspring=8, min_length=2, seed=3, rungs=3
    )
    task = write_task(tmp_path)

    def evolved(name: str, rungs: int, after: float = math.inf) -> FakeModel:
        def rule(request: Request) -> Answer:
            if len(model.prompts) > after:
                raise KeyboardInterrupt
            return opinion(request)

        model = FakeModel(rule)
        job = EvolveConfig(task, tmp_path / name, replace(settings, rungs=rungs))
        run_evolution(job, load=lambda *_, **__: model, tokens=offsets)
        return model

    whole = evolved("whole", 3)
    assert len(whole.prompts) < 0.8 * len(evolved("plain", 1).prompts)
    with pytest.raises(KeyboardInterrupt):
        evolved("killed", 3, after=60)
    evolved("killed", 3)
    for name in ("history.jsonl", "prompt.toml"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_search_from_before_there_were_rungs_goes_on(tmp_path: Path) -> None:
    settings = SearchConfig()
    with RunFolder(tmp_path / "run", seed_of(40), settings, {}):
        pass
    path = tmp_path / "run" / "settings.json"
    made = json.loads(path.read_text())
    del made["settings"]["rungs"]
    path.write_text(json.dumps(made))
    with RunFolder(tmp_path / "run", seed_of(40), settings, {}):
        pass
    with (
        pytest.raises(InputError, match=r"settings\.rungs was 1, is now 3"),
        RunFolder(tmp_path / "run", seed_of(40), replace(settings, rungs=3), {}),
    ):
        pass


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"rungs": 0}, "`rungs` must be from 1 to 30, not 0"),
        ({"rungs": 2, "method": "ssga"}, "gga and random, without pareto; not ssga"),
        ({"rungs": 2, "method": "tapruning"}, "not tapruning"),
        ({"rungs": 2, "pareto": True}, "not gga with pareto"),
    ],
)
def test_where_nothing_races_rungs_are_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        SearchConfig(**settings)  # type: ignore[arg-type]
