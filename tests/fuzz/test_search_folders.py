"""Run folders of a search: shown and resumed as they were written, or refused."""

import contextlib
import io
import json
import random
import shutil
from hashlib import blake2b
from pathlib import Path
from zlib import crc32

import pytest

from rankprompt.cli.evolve import show
from rankprompt.search.history import format_line, parse_history
from rankprompt.search.result import RESULT_FILE
from rankprompt.search.run_folder import read_history
from rankprompt.search.saved_run import load_run
from tests.fuzz.conftest import fuzz, is_refused
from tests.mutations import mutate, mutate_json
from tests.search.test_run_folder import finish, outcome


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A folder of two generations, with a result."""
    folder = tmp_path / "run"
    history = finish(folder, generations=2).history
    measures = {"accuracy": 0.5, "reward": 1.25}
    splits = dict.fromkeys(("search", "calibration", "test"), measures)
    result = {
        "task": "task.toml",
        "scores": {"seed": splits, "winner": splits},
        "comparison": {"measure": "accuracy", "wins": 3, "losses": 1, "mcnemar": 0.5},
        "calibrated": [{"number": one.number, "calibration": measures} for one in history[:3]],
    }
    (folder / RESULT_FILE).write_text(json.dumps(result))
    return folder


@pytest.mark.parametrize(
    ("name", "number"), [("settings.json", 300), ("checkpoint.json", 300), (RESULT_FILE, 500)]
)
def test_a_folder_that_is_shown(run: Path, name: str, number: int) -> None:
    lines = [format_line(individual) for individual in read_history(run)]

    def read() -> None:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            show(run, best=5, plots=False, as_json=False)
        assert [format_line(individual) for individual in load_run(run).history] == lines

    assert fuzz(run / name, read, number) > number / 3


@pytest.mark.parametrize("name", ["settings.json", "checkpoint.json", "history.jsonl"])
def test_a_folder_that_is_resumed(run: Path, tmp_path: Path, name: str) -> None:
    whole = outcome(finish(tmp_path / "whole", generations=3))
    content = (run / name).read_bytes()
    for seed in range(60):
        folder = tmp_path / "again"
        shutil.copytree(run, folder)
        lines = content.splitlines(keepends=True)
        index = random.Random(seed).randrange(len(lines))
        lines[index] = mutate(random.Random(seed), lines[index]) if len(lines) < 200 else b""
        mutated = (
            mutate(random.Random(seed), content) if name != "history.jsonl" else b"".join(lines)
        )
        (folder / name).write_bytes(mutated)

        def read() -> None:
            state = finish(folder, generations=1)
            if state.generation < 3:  # played again from the start
                state = finish(folder, generations=3 - state.generation)
            assert outcome(state) == whole

        is_refused(read, f"{name}, seed {seed}: {mutated[:100]!r}")
        shutil.rmtree(folder)


def test_a_checkpoint_with_the_right_digest(run: Path) -> None:
    path = run / "checkpoint.json"
    state = json.loads(path.read_bytes())["state"].encode()
    refused = 0
    for seed in range(500):
        text = mutate_json(random.Random(seed), state).decode()
        digest = blake2b(text.encode(), digest_size=16).hexdigest()
        path.write_text(json.dumps({"state": text, "digest": digest}))
        refused += is_refused(lambda: print(len(read_history(run)), end=""), text[:100])  # noqa: T201
    assert refused > 250


def test_lines_of_a_history_with_the_right_checksum(run: Path) -> None:
    line = (run / "history.jsonl").read_bytes().splitlines()[0]
    refused = 0
    for seed in range(1000):
        mutated = mutate(random.Random(seed), line)
        with contextlib.suppress(ValueError, RecursionError, AttributeError, KeyError, TypeError):
            fields = json.loads(mutated)
            fields.pop("check")
            check = f"{crc32(json.dumps(fields).encode()):08x}"
            mutated = json.dumps({**fields, "check": check}).encode()
        try:
            again = parse_history(mutated, pareto=False)
        except ValueError as error:
            assert "\n" not in str(error)  # noqa: PT017 - either is right
            refused += 1
        else:
            said = [json.loads(each) for each in mutated.splitlines()]
            assert [one.number for one in again] == [each["number"] for each in said]
            assert [one.text for one in again] == [each["text"] for each in said]
    assert 300 < refused < 950
