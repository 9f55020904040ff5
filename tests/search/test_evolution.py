import json
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rankprompt.errors import InputError, ModelError, RankpromptError
from rankprompt.llm.base import Answer, Request
from rankprompt.pipeline.config import BudgetConfig, ModelConfig
from rankprompt.prompts.prompt import load_prompt
from rankprompt.search import METHODS, EvolveConfig, SearchConfig
from rankprompt.search.evolution import ProgressListener, run_evolution
from rankprompt.search.plots import plot_run, survival
from rankprompt.search.run_folder import read_history
from rankprompt.search.saved_run import best_prompts, load_run
from tests.fakes import FakeModel
from tests.search.worlds import offsets, opinion, write_ranking, write_task

SMALL = SearchConfig(evaluations=40, population=4, offspring=8, min_length=2, seed=3)


def evolve(config: EvolveConfig, model: FakeModel | None = None) -> dict[str, Any]:
    return run_evolution(config, load=lambda *_, **__: model or FakeModel(opinion), tokens=offsets)


def same(result: dict[str, Any]) -> dict[str, Any]:
    """What does not depend on when and where a run was made."""
    return {name: value for name, value in result.items() if name not in ("costs", "seconds")}


@pytest.mark.parametrize("method", METHODS)
def test_every_method_leads_to_a_prompt(tmp_path: Path, method: str) -> None:
    settings = replace(SMALL, method=method)
    folder = tmp_path / "run"
    result = evolve(EvolveConfig(write_task(tmp_path), folder, settings))
    assert json.loads((folder / "result.json").read_text()) == result
    assert result["labels"] == {"demonstrations": 2, "search": 4, "calibration": 4, "test": 6}
    written = tomllib.loads((folder / "prompt.toml").read_text())
    assert written["text"] == result["winner"]["text"]
    assert (written["options"], written["labels"]) == ([" gloomy", " cheerful"], ["bad", "good"])
    history = read_history(folder)
    assert history[0].length == result["genes"]
    seed, winner = result["scores"]["seed"], result["scores"]["winner"]
    assert set(seed) == {"search", "calibration", "test"}
    assert seed["search"]["reward"] == history[0].score
    # The model is the surer the shorter the prompt: whatever prunes must win.
    assert (winner["test"]["reward"] > seed["test"]["reward"]) == (method != "unpruned")
    # All are right, and only the surer.
    assert result["comparison"] == {
        "measure": "accuracy", "wins": 0, "losses": 0, "mcnemar": None,
    }  # fmt: skip
    best = result["calibrated"][0]
    assert best["number"] == result["winner"]["number"]
    assert len(result["calibrated"]) == max(1, round(0.1 * result["evaluations"]))


def test_only_seed_and_winner_ever_see_the_test_split(tmp_path: Path) -> None:
    model = FakeModel(opinion)
    evolve(EvolveConfig(write_task(tmp_path), tmp_path / "run", SMALL), model)
    starts = {one.prompt.partition("test ")[0] for one in model.prompts if "test " in one.prompt}
    assert len(starts) == 2


def dies(after: int, error: type[BaseException]) -> Callable[[Request], Answer]:
    left = after

    def rule(request: Request) -> Answer:
        nonlocal left
        left -= 1
        if left < 0:
            raise error
        return opinion(request)

    return rule


@pytest.mark.parametrize("method", ["gga", "ssga", "tapruning", "random"])
@pytest.mark.parametrize("after", [5, 70, 100, 131, 185])
def test_a_killed_run_goes_on_as_if_it_had_not_been(
    tmp_path: Path, method: str, after: int
) -> None:
    task, settings = write_task(tmp_path), replace(SMALL, method=method)
    whole = evolve(EvolveConfig(task, tmp_path / "whole", settings))
    config = EvolveConfig(task, tmp_path / "killed", settings)
    model = FakeModel(dies(after, KeyboardInterrupt))
    try:
        evolve(config, model)
    except KeyboardInterrupt:
        finished = (
            len(read_history(config.output)) if (config.output / "checkpoint.json").exists() else 0
        )
        again = evolve(config)
        assert len(read_history(config.output)) >= finished
    else:
        again = evolve(config)
    assert same(again) == same(whole)
    for name in ("history.jsonl", "prompt.toml"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_finished_run_asks_nothing_again(tmp_path: Path) -> None:
    config = EvolveConfig(write_task(tmp_path), tmp_path / "run", SMALL)
    first = evolve(config)
    model = FakeModel(dies(0, AssertionError))
    assert same(evolve(config, model)) == same(first)
    assert model.prompts == []


def test_another_model_task_or_setting_is_refused_and_the_difference_shown(tmp_path: Path) -> None:
    task = write_task(tmp_path)
    config = EvolveConfig(task, tmp_path / "run", SMALL)
    evolve(config)
    before = {path: path.read_bytes() for path in config.output.iterdir()}
    other = FakeModel(opinion)
    other.fingerprint = "fake 2"
    with pytest.raises(InputError, match=r'about\.model was "fake 1", is now "fake 2"'):
        evolve(config, other)
    with pytest.raises(InputError, match=r"settings\.evaluations was 40, is now 41"):
        evolve(replace(config, search=replace(SMALL, evaluations=41)))
    task.write_text(task.read_text().replace("calibration = 4", "calibration = 6"))
    with pytest.raises(InputError, match=r"about\.task\.splits\.calibration was 4, is now 6"):
        evolve(config)
    assert {path: path.read_bytes() for path in config.output.iterdir()} == before


def test_data_that_cannot_be_used_leave_no_folder(tmp_path: Path) -> None:
    task = write_task(tmp_path, sizes=(12, 8, 0))
    with pytest.raises(RankpromptError, match=r"test\.jsonl: the file holds no example"):
        evolve(EvolveConfig(task, tmp_path / "run", SMALL))
    with pytest.raises(InputError, match="its own folder does not exist"):
        evolve(EvolveConfig(task, tmp_path / "no" / "run", SMALL))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["oracle:qrels.trec", "rerank:m", "ms-marco-minilm-l12"])
def test_a_model_that_reads_no_prompt_is_refused(tmp_path: Path, name: str) -> None:
    model = ModelConfig(name=name)
    config = EvolveConfig(write_task(tmp_path), tmp_path / "run", SMALL, model)
    with pytest.raises(InputError, match="reads no prompt that could be evolved"):
        evolve(config)
    assert not config.output.exists()


def test_a_model_without_finite_answers_is_refused(tmp_path: Path) -> None:
    nothing = FakeModel(lambda _: Answer((float("nan"),) * 2, (1, 1)))
    with pytest.raises(ModelError, match="every prompt is infeasible"):
        evolve(EvolveConfig(write_task(tmp_path), tmp_path / "run", SMALL), nothing)


def test_a_budget_and_a_stop_file_end_the_search_alone(tmp_path: Path) -> None:
    task = write_task(tmp_path)
    budget = BudgetConfig(max_prompts=20)
    result = evolve(EvolveConfig(task, tmp_path / "a", SMALL, budget=budget))
    assert result["stop"] == "the budget of the model is spent"
    assert result["evaluations"] < 40
    assert result["scores"]["winner"]["test"]

    folder = tmp_path / "b"

    class Stops(ProgressListener):
        def on_start(self, *_: object) -> None:
            (folder / "stop").touch()

    with pytest.raises(InputError, match="before its first generation: the stop file"):
        run_evolution(
            EvolveConfig(task, folder, SMALL),
            Stops(),
            load=lambda *_, **__: FakeModel(opinion),
            tokens=offsets,
        )


def test_a_ranking_run_ends_with_a_prompt_that_rerank_takes(tmp_path: Path) -> None:
    settings = replace(SMALL, evaluations=12)
    result = evolve(EvolveConfig(write_ranking(tmp_path), tmp_path / "run", settings), FakeModel())
    prompt = load_prompt(str(tmp_path / "run" / "prompt.toml"))
    assert str(prompt.text) == result["winner"]["text"]
    assert list(result["scores"]["seed"]["test"]) == ["ndcg@10", "accuracy", "reward"]
    paired = result["comparison"]
    assert paired["queries"] == 2
    assert paired["difference"] == pytest.approx(
        result["scores"]["winner"]["test"]["ndcg@10"] - result["scores"]["seed"]["test"]["ndcg@10"]
    )


def test_a_run_is_shown_finished_or_not(tmp_path: Path) -> None:
    config = EvolveConfig(write_task(tmp_path), tmp_path / "run", SMALL)
    with pytest.raises(KeyboardInterrupt):
        evolve(config, FakeModel(dies(100, KeyboardInterrupt)))
    run = load_run(config.output)
    assert run.result is None
    assert "".join(text for text, _ in run.pieces).endswith("Review: {text}\nMood:")
    scores = [one.individual.score or 0 for one in best_prompts(run, 3)]
    assert scores == sorted(scores, reverse=True)
    result = evolve(config)
    (best,) = best_prompts(load_run(config.output), 1)
    assert best.individual.text == result["winner"]["text"]
    assert best.measures == result["calibrated"][0]["calibration"]
    with pytest.raises(InputError, match="no search's folder"):
        load_run(tmp_path)


def test_the_pictures_are_the_same_for_the_same_run(tmp_path: Path) -> None:
    config = EvolveConfig(write_task(tmp_path), tmp_path / "run", SMALL)
    evolve(config)
    run = load_run(config.output)
    before = {path: path.read_bytes() for path in plot_run(run)}
    assert [path.name for path in before] == ["generations.svg", "lengths.svg", "tokens.svg"]
    assert {path: path.read_bytes() for path in plot_run(run)} == before
    genes = len(run.history[0].genome)
    assert survival(run.history[:1], genes) == [1.0] * genes
    assert min(survival(run.history, genes)) < 1
