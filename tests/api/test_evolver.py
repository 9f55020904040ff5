"""``Evolver`` against ``rankprompt evolve``, with a small language model of random weights."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

from rankprompt.api.evolver import Evolved, Evolver
from rankprompt.cli.app import app
from rankprompt.errors import InputError
from rankprompt.pipeline.config import BudgetConfig, ModelConfig, RayConfig
from rankprompt.pipeline.config_keywords import config_from_options
from rankprompt.prompts.prompt import load_prompt
from rankprompt.search.config import EvolveConfig, SearchConfig
from tests.configs import configure
from tests.llm import tiny
from tests.search.worlds import write_ranking


class World(NamedTuple):
    """A ranking task, a model, and an evolution of the task."""

    task: Path
    options: dict[str, Any]
    evolved: Evolved
    opened: list[tuple[str, int]]
    done: list[int]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("world")
    task = write_ranking(folder)
    model = tiny.save(folder / "model", tiny.llama(max_position_embeddings=2048), tiny.tokenizer())
    options = {
        "model": str(model), "evaluations": 6, "population": 2, "offspring": 3, "min_length": 0,
        "seed": 3, "threads": 1,
    }  # fmt: skip
    opened: list[tuple[str, int]] = []
    done: list[int] = []

    @contextmanager
    def progress(description: str, steps: int) -> Iterator[Callable[[int], None]]:
        opened.append((description, steps))
        yield done.append

    evolved = Evolver(task, folder / "run", **options).run(progress)
    return World(task, options, evolved, opened, done)


def same(result: dict[str, Any]) -> dict[str, Any]:
    """What does not depend on when a run was made, and with which journal."""
    return {name: value for name, value in result.items() if name not in ("costs", "seconds")}


def test_the_result_is_the_command_lines(world: World, tmp_path: Path) -> None:
    words = [
        word
        for name, value in world.options.items()
        for word in (f"--{name.replace('_', '-')}", str(value))
    ]
    command = ["evolve", "run", str(world.task), "--output", str(tmp_path / "run"), *words]
    ran = CliRunner().invoke(app, [*command, "--json", "--quiet"])
    assert ran.exit_code == 0, ran.output
    evolved = world.evolved
    assert same(json.loads(ran.stdout)) == same(evolved.result)
    assert json.loads((evolved.folder / "result.json").read_text()) == evolved.result
    assert evolved.prompt.read_text() == (tmp_path / "run" / "prompt.toml").read_text()
    assert set(evolved.scores["winner"]) == {"search", "calibration", "test"}


def test_the_winner_is_a_prompt_that_reranking_takes(world: World) -> None:
    prompt = load_prompt(str(world.evolved.prompt))
    assert str(prompt.text) == world.evolved.text
    config = config_from_options(configure(), {"prompt": world.evolved.prompt})
    assert config.judge.prompt == str(world.evolved.prompt)


def test_the_history_is_given_as_records_and_as_a_frame(world: World) -> None:
    evolved = world.evolved
    lines = (evolved.folder / "history.jsonl").read_text().splitlines()
    assert len(evolved.records) == len(lines) > 6
    frame = evolved.to_frame()
    assert list(frame["text"]) == [record["text"] for record in evolved.records]
    winner = evolved.result["winner"]["number"]
    assert frame.loc[winner, "text"] == evolved.text
    assert f"{evolved.scores['winner']['test']['ndcg@10']:.4f}" in str(evolved)
    assert evolved._repr_html_().count("<tr>") == 7


def test_progress_counts_the_prompts_that_were_scored(world: World) -> None:
    assert world.opened == [("evolving", 6)]
    assert sum(world.done) == world.evolved.result["evaluations"] == 6


def test_an_evolution_is_resumed_from_its_folder(world: World) -> None:
    again = Evolver(str(world.task), str(world.evolved.folder), **world.options).run()
    assert same(again.result) == same(world.evolved.result)
    assert again.result["costs"]["prompts"] == 0
    with pytest.raises(InputError, match="seed"):
        Evolver(world.task, world.evolved.folder, **world.options | {"seed": 4}).run()


def test_every_field_is_an_option_by_its_name() -> None:
    options: dict[str, Any] = {
        "method": "random", "mutations": [1, 2], "start_pruned": [0, 0.5], "rungs": 3, "minutes": 2,
        "restart": True, "stagnation": None, "batch_tokens": 512, "max_prompts": 9, "dtype": "auto",
        "model": "openai:m", "header": "a:b", "max_cost": 2, "ray": "local", "workers": 3,
    }  # fmt: skip
    assert Evolver("a.toml", "b", **options).config == EvolveConfig(
        Path("a.toml"),
        Path("b"),
        SearchConfig(
            method="random", mutations=(1, 2), start_pruned=(0.0, 0.5), rungs=3, minutes=2.0,
            restart=True,
        ),
        ModelConfig(name="openai:m", batch_tokens=512, header=("a:b",)),
        BudgetConfig(max_prompts=9, max_cost=2.0),
        RayConfig(address="local", workers=3),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"evaluation": 3}, "unknown option `evaluation`; did you mean `evaluations`?"),
        ({"search": SearchConfig()}, "unknown option `search`; "),
        ({"evaluations": "3"}, "`evaluations` must be a whole number, not '3'"),
        ({"evaluations": 0}, "`evaluations` must be at least 1, not 0"),
        ({"method": "gag"}, "did you mean 'gga'?"),
        ({"start_pruned": [0.1]}, "`start_pruned` must be 2 values, not 1"),
        ({"output": ""}, "`output` is empty; leave it out"),
        ({"model": "rerank:m"}, "a reranker reads no prompt that could be evolved"),
        ({"model": "openai:m", "threads": None, "ray": "local"}, "a model that each worker loads"),
        ({"max_cost": 1}, "`max_cost` needs the prices of a million tokens"),
        ({"base_url": "http://localhost:1"}, "`base_url` goes with `model` openai:MODEL"),
        ({"task": "none.toml"}, "cannot read none.toml"),
        ({"output": "no/such/run"}, "cannot make no/such/run: its own folder does not exist"),
    ],
)
def test_bad_input_is_one_line_and_leaves_no_folder(
    world: World, tmp_path: Path, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError) as raised:
        Evolver(
            **{"task": world.task, "output": tmp_path / "run", **world.options, **options}
        ).run()
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "run").exists()
