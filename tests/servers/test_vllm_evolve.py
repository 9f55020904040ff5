"""Evolve's Subj task through a real vLLM, killed and resumed: `make test-vllm` runs this."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rankprompt.api.evolver import Evolver
from rankprompt.llm.embedded import converted_folder
from tests.servers.vllm_process import running_vllm

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(3600)]

TASK = """\
kind = "classification"
train = "{data}/train.jsonl"
dev = "{data}/dev.jsonl"
test = "{data}/test.jsonl"
template = "Text: {{text}}\\nThis is {{label}}"
shots = 1

[verbalisers]
objective = "objective"
subjective = "subjective"

[splits]
search = 8
calibration = 4
test = 4
overlap = "drop"
"""
OPTIONS = {"evaluations": 6, "population": 2, "offspring": 2, "seed": 1}


def test_subj_is_evolved_by_vllm_and_goes_on_after_kill_9(data: Path, tmp_path: Path) -> None:
    folder = data / "tasks" / "subj"
    if not folder.is_dir():
        pytest.skip(f"no Subj: {folder} is absent")
    task, output = tmp_path / "task.toml", tmp_path / "run"
    task.write_text(TASK.format(data=folder))
    # The local engine's score of the seed prompt, to compare with.
    seed = Evolver(
        task, tmp_path / "near", **OPTIONS | {"evaluations": 1}, dtype="float32", threads=1
    ).run()
    with running_vllm(tmp_path, converted_folder(), "smol", "--max-model-len", "2048") as url:
        server = {"model": "openai:smol", "base_url": url, "tokenizer": "smollm2-135m"}
        words = [
            f"--{name.replace('_', '-')}={value}" for name, value in (OPTIONS | server).items()
        ]
        with (tmp_path / "killed.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "rankprompt", "evolve", "run", str(task),
                 f"--output={output}", *words],
                stderr=log,
            )  # fmt: skip
        history = output / "history.jsonl"
        while not (history.exists() and history.read_bytes().count(b"\n") >= 3):
            assert process.poll() is None, (tmp_path / "killed.log").read_text()
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        before, asked = history.read_bytes(), spent(output)
        evolved = Evolver(task, output, **OPTIONS | server).run()
        again = Evolver(task, output, **OPTIONS | server).run()
    assert history.read_bytes().startswith(before)
    assert evolved.result["evaluations"] == 6
    assert evolved.result["spent"]["prompts"] > asked > 0
    assert again.result["costs"]["prompts"] == 0
    assert again.scores == evolved.scores
    assert evolved.result["genes"] == seed.result["genes"]
    for split in ("search", "test"):
        found, expected = (one.scores["seed"][split] for one in (evolved, seed))
        assert found == pytest.approx(expected, abs=0.05)
    print(json.dumps(evolved.result["spent"]), (tmp_path / "killed.log").read_text())  # noqa: T201


def spent(folder: Path) -> int:
    lines = (folder / "spent.jsonl").read_text().splitlines()
    return sum(json.loads(line)["prompts"] for line in lines)
