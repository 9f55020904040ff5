"""Manifests and configurations: refused, or taken as exactly what they say."""

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest

from rankprompt.errors import InputError
from rankprompt.eval.cost import read_cost
from rankprompt.files.manifest import describe_file, format_manifest, manifest_path
from rankprompt.files.toml import format_toml
from rankprompt.pipeline.config import DataConfig, RerankConfig
from rankprompt.pipeline.config_file import as_dict, load_config, load_manifest
from tests.fuzz.conftest import fuzz
from tests.mutations import mutate_bytes

CONFIG = replace(
    RerankConfig(), data=DataConfig(run=Path("bm25.trec"), dataset="beir:x", depth=20), seed=3
)


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    run = tmp_path / "better.trec"
    run.write_text("q1 Q0 d1 1 2.5 x\n")
    described = describe_file(run)
    content = {
        "config": as_dict(CONFIG),
        "output": {"path": str(run), "blake2b": described["blake2b"]},
        "inputs": {"run": described, "dataset": [described]},
        "costs": {
            "comparisons_asked": 3, "prompts": 4, "prompts_from_journal": 1, "prompt_tokens": 5,
            "written_tokens": 1, "seconds": 3.5,
        },
        "diagnostics": {"agreement": 0.5, "transitivity": None},
    }  # fmt: skip
    path = tmp_path / "better.json"
    path.write_text(format_manifest(content))
    return path


def same_as_written(content: object, config: object) -> bool:
    """Whether a configuration has the values of a file, with their types, where it names any."""
    if isinstance(content, dict) and isinstance(config, dict):
        return all(same_as_written(value, config[name]) for name, value in content.items())
    if isinstance(content, str) and isinstance(config, list | tuple):
        # A single address, as in older manifests; an empty text is none.
        return [content] * bool(content) == list(config)
    exact = type(content) is type(config) or (type(content), type(config)) == (int, float)
    return exact and content == config


def test_a_manifest_to_run_again(manifest: Path) -> None:
    def read() -> None:
        config = as_dict(load_manifest(manifest))
        assert same_as_written(json.loads(manifest.read_bytes())["config"], config)

    assert fuzz(manifest, read, 1000) > 600
    assert load_manifest(manifest) == CONFIG


def test_a_manifest_of_the_first_form(tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    settings = {"model": "m", "run": "r.trec", "depth": 10, "method": "heapsort", "k": 3, "seed": 1}
    path.write_text(json.dumps({"form": "rankprompt manifest 1", "settings": settings}))

    def read() -> None:
        config, said = load_manifest(path), json.loads(path.read_bytes())["settings"]
        for name, value in (("depth", config.data.depth), ("k", config.ranker.k)):
            assert type(value) is int
            assert said.get(name) in (None, value)  # null was how a default was written

    assert fuzz(path, read, 500) > 200


def test_a_manifest_that_a_new_run_would_replace(manifest: Path) -> None:
    def read() -> None:
        assert manifest_path(manifest.with_suffix(".trec")) == manifest
        assert json.loads(manifest.read_bytes())["form"].startswith("rankprompt manifest ")

    assert fuzz(manifest, read, 500) > 100


def test_the_costs_in_a_manifest_are_right_or_unknown(manifest: Path) -> None:
    run = manifest.with_suffix(".trec")
    right = read_cost(run)
    assert (right.problem, right.tokens, right.seconds) == (None, 6, 3.5)

    def read() -> None:
        cost = read_cost(run)
        if cost.problem is not None:
            raise InputError(cost.problem)
        costs = json.loads(manifest.read_bytes()).get("costs")
        said = costs if isinstance(costs, dict) else {}
        for name, value in (("prompts", cost.prompts), ("seconds", cost.seconds)):
            assert value is None or (value == said[name] and type(value) is not bool)

    assert fuzz(manifest, read, 500) > 100


def mutate_toml(rng: random.Random, content: bytes) -> bytes:
    """A changed value of a key, or changed bytes."""
    lines = content.decode().splitlines()
    index = rng.choice([number for number, line in enumerate(lines) if " = " in line])
    if rng.random() < 0.4:
        return mutate_bytes(rng, content)
    values = (
        "true", "-1", "0", "1.5", "1e400", "nan", '"text"', '""', "[]", "{a = 1}", "2026-11-30",
        "99999999999999999999", "9" * 5000, "[" * 10_000 + "]" * 10_000, "'3'", "0x10", "3.0",
    )  # fmt: skip
    name, _, old = lines[index].partition(" = ")
    kept = rng.choice([f"{name}x", name])
    lines[index] = f"{kept} = {rng.choice([*values, old])}"
    return "\n".join([*lines, lines[index]] if rng.random() < 0.1 else lines).encode()


def test_a_configuration(tmp_path: Path) -> None:
    path = tmp_path / "job.toml"
    text = ""
    for group, table in as_dict(CONFIG).items():
        if isinstance(table, dict):
            given = {name: value for name, value in table.items() if value is not None}
            text += f"[{group}]\n{format_toml(given)}"
    path.write_text(text)

    def read() -> None:
        import tomllib

        config = as_dict(load_config(path))
        assert same_as_written(tomllib.loads(path.read_text("utf-8-sig")), config)

    assert fuzz(path, read, 1000, mutate_toml) > 500
