"""A run folder of ``evolve`` that commit f38e026 wrote, interrupted by its model."""

import json
import shutil
from pathlib import Path

import pytest

from rankprompt.search import EvolveConfig, SearchConfig
from rankprompt.search.evolution import run_evolution
from rankprompt.search.history import format_line
from rankprompt.search.saved_run import best_prompts, load_run
from tests.fakes import FakeModel
from tests.search.worlds import offsets, opinion

GOLDEN = Path(__file__).parent / "golden" / "evolve"
SEARCH = SearchConfig(evaluations=40, population=4, offspring=8, min_length=2, seed=3)


@pytest.fixture
def evolve(tmp_path: Path) -> Path:
    """A copy of the folder of the task, its data and the interrupted run."""
    return Path(shutil.copytree(GOLDEN, tmp_path / "evolve"))


def test_an_interrupted_run_ends_as_it_would_have_uninterrupted(evolve: Path) -> None:
    settings, history = (evolve / "run" / name for name in ("settings.json", "history.jsonl"))
    before = settings.read_bytes(), history.read_bytes()
    result = run_evolution(
        EvolveConfig(evolve / "task.toml", evolve / "run", SEARCH),
        load=lambda *_, **__: FakeModel(opinion),
        tokens=offsets,
    )
    expected = json.loads((GOLDEN / "result.json").read_text())
    assert Path(result.pop("task")) == evolve / "task.toml"
    assert expected.pop("task") == "evolve/task.toml"
    for name in ("costs", "seconds"):
        result.pop(name)
    assert result == expected
    # The files are written now as they were then.
    assert settings.read_bytes() == before[0]
    lines = map(format_line, load_run(evolve / "run").history)
    assert history.read_bytes().startswith(before[1])
    assert "".join(lines).encode() == history.read_bytes()


def test_an_interrupted_run_is_shown(evolve: Path) -> None:
    run = load_run(evolve / "run")
    assert run.result is None
    assert len(run.history) == 36
    assert "".join(text for text, _ in run.pieces).endswith("Review: {text}\nMood:")
    ((best, measures),) = best_prompts(run, 1)
    assert (best.number, best.text, measures) == (35, " 6{text}", {})


def test_the_journal_is_not_asked_again(evolve: Path) -> None:
    model, fresh = FakeModel(opinion), FakeModel(opinion)
    config = EvolveConfig(evolve / "task.toml", evolve / "run", SEARCH)
    run_evolution(config, load=lambda *_, **__: model, tokens=offsets)
    shutil.rmtree(evolve / "run")
    run_evolution(config, load=lambda *_, **__: fresh, tokens=offsets)
    assert 0 < len(model.prompts) < len(fresh.prompts)
    assert {*map(tuple, model.prompts)} < {*map(tuple, fresh.prompts)}
