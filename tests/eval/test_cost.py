"""What a manifest says of a run's cost, and when it says nothing."""

import json
from pathlib import Path
from typing import Any

import pytest

from rankprompt.eval.cost import Cost, read_cost
from rankprompt.files.manifest import describe_file

COSTS = {
    "comparisons_asked": 12, "prompts": 20, "prompts_from_journal": 4, "prompt_tokens": 900,
    "written_tokens": 20, "seconds": 1.5,
}  # fmt: skip


def write(folder: Path, **changed: Any) -> Path:
    """A run with a manifest; None leaves a part of it out."""
    run = folder / "better.trec"
    run.write_text("q Q0 d 1 1 t\n")
    content = {
        "form": "rankprompt manifest 1",
        "output": describe_file(run),
        "costs": COSTS,
        "diagnostics": {"position_bias": 0.1, "inconsistent": None, "triples": 3},
        **changed,
    }
    run.with_suffix(".json").write_text(
        json.dumps({name: part for name, part in content.items() if part is not None})
    )
    return run


def test_the_manifest_of_a_run_says_what_it_cost(tmp_path: Path) -> None:
    found = read_cost(write(tmp_path))
    assert found.manifest is not None
    assert found == Cost(
        comparisons=12,
        prompts=20,
        from_journal=4,
        tokens=920,
        seconds=1.5,
        diagnostics={"position_bias": 0.1, "inconsistent": None, "triples": 3},
        manifest=found.manifest,
    )


def test_what_an_oracles_manifest_lacks_is_unknown_and_not_zero(tmp_path: Path) -> None:
    found = read_cost(write(tmp_path, costs={"comparisons_asked": 12, "seconds": 0.5}))
    assert (found.problem, found.comparisons, found.seconds) == (None, 12, 0.5)
    assert found.prompts is None
    assert found.tokens is None


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"output": None}, "better.json does not say which run it belongs to"),
        ({"output": {"blake2b": "00"}}, "better.json belongs to another run"),
        ({"output": ["odd"]}, "better.json does not say which run it belongs to"),
        ({"form": "other"}, "the file beside it is no manifest"),
    ],
)
def test_a_manifest_that_is_not_the_runs_is_not_believed(
    tmp_path: Path, change: dict[str, Any], problem: str
) -> None:
    assert read_cost(write(tmp_path, **change)) == Cost(problem)


def test_a_run_that_changed_since_its_cost_unknown(tmp_path: Path) -> None:
    run = write(tmp_path)
    run.write_text("q Q0 d 1 2 t\n")
    assert read_cost(run) == Cost("better.json belongs to another run")


def test_without_a_manifest_all_is_unknown(tmp_path: Path) -> None:
    run = write(tmp_path)
    run.with_suffix(".json").unlink()
    assert read_cost(run) == Cost("no manifest beside it (better.json)")


def test_numbers_that_are_none_are_unknown(tmp_path: Path) -> None:
    found = read_cost(write(tmp_path, costs={**COSTS, "prompts": "many", "prompt_tokens": True}))
    assert found.prompts is None
    assert found.tokens is None
    assert read_cost(write(tmp_path, costs="none", diagnostics=7)).comparisons is None


@pytest.mark.parametrize("wrong", [-1, float("nan"), float("inf"), 10**400, "12", True, None, [1]])
def test_a_cost_that_cannot_be_is_unknown(tmp_path: Path, wrong: Any) -> None:
    found = read_cost(write(tmp_path, costs=dict.fromkeys(COSTS, wrong)))
    assert (found.comparisons, found.prompts, found.from_journal) == (None, None, None)
    assert (found.tokens, found.seconds) == (None, None)
