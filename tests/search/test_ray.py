"""An evolution on two real Ray workers is that of one process, to the byte."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rankprompt.api.evolver import Evolver
from rankprompt.pipeline.ray.cluster import connected
from tests.llm import tiny
from tests.pipeline.ray_runs import NO_RAY, TWO
from tests.search.worlds import write_task

SMALL: dict[str, Any] = {
    "evaluations": 24, "population": 3, "offspring": 5, "min_length": 0, "seed": 3, "threads": 1,
    "dtype": "float32", "device": "cpu", "batch_tokens": 400,
}  # fmt: skip


def files(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in ("history.jsonl", "prompt.toml")}


@pytest.fixture
def address() -> Iterator[str]:
    """Of a real cluster on this machine, which this process is connected to."""
    pytest.importorskip("ray", reason=NO_RAY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        with connected(TWO) as ray:
            yield ray.get_runtime_context().gcs_address


@pytest.mark.model
def test_two_workers_evolve_as_one_process_and_go_on_after_kill_9(
    tmp_path: Path, address: str
) -> None:
    model = tiny.llama(max_position_embeddings=512)
    options = {**SMALL, "model": str(tiny.save(tmp_path / "model", model, tiny.tokenizer()))}
    task = write_task(tmp_path)
    near = Evolver(task, tmp_path / "near", **options).run()
    assert len({record["score"] for record in near.records}) > 10

    words = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    output = tmp_path / "far"
    process = subprocess.Popen(
        [sys.executable, "-m", "rankprompt", "evolve", "run", str(task), f"--output={output}",
         f"--ray={address}", "--workers=2", *words],
        stderr=subprocess.PIPE,
    )  # fmt: skip
    history = output / "history.jsonl"
    while not (history.exists() and history.read_bytes().count(b"\n") > 3):
        assert process.poll() is None, process.communicate()[1].decode()
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    before = history.read_bytes()
    assert not (output / "result.json").exists()

    far = Evolver(task, output, ray=address, workers=2, **options).run()
    assert files(output) == files(tmp_path / "near")
    assert history.read_bytes().startswith(before)
    assert far.scores == near.scores
    assert far.result["fingerprint"] == near.result["fingerprint"]
