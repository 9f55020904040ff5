"""Runs vLLM in float32, from an environment of its own."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2 as httpx
import pytest

__all__ = ["ENVIRONMENT", "running_vllm", "vllm_python"]

ENVIRONMENT = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    # One thread, bound to no core: the other cores are others'.
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "OMP_NUM_THREADS": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
}
"""What a small vLLM on this machine needs to be told."""


def vllm_python() -> Path:
    """The Python of an environment with vLLM; skips the test where there is none."""
    root = Path(__file__).parents[2]
    python = Path(os.environ.get("RANKPROMPT_VLLM") or root / ".venv-vllm" / "bin" / "python")
    if not python.exists():
        pytest.skip(f"no vLLM: {python} is absent (make test-vllm, or set RANKPROMPT_VLLM)")
    return python


@contextmanager
def running_vllm(folder: Path, model: Path, name: str, *options: str) -> Iterator[str]:
    """Starts vLLM, waits until it answers, gives its base URL, and stops it.

    Args:
        folder: where its log goes.
        model: the folder of the model.
        name: the model's name at the server.
        options: more of its options.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, **ENVIRONMENT}
    environment.pop("PYTHONPATH", None)
    command = [
        str(vllm_python()), "-m", "vllm.entrypoints.openai.api_server",
        "--model", str(model), "--served-model-name", name, "--dtype", "float32",
        "--enforce-eager", "--host", "127.0.0.1", "--port", str(port), *options,
    ]  # fmt: skip
    log = folder / "vllm.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=environment, stdout=output, stderr=subprocess.STDOUT, cwd=folder
        )
        try:
            _wait(process, f"http://127.0.0.1:{port}/health", log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            process.wait(60)


def _wait(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    for _ in range(600):
        assert process.poll() is None, log.read_text("utf-8", "replace")[-2000:]
        try:
            if httpx.get(url, timeout=5).is_success:
                return
        except httpx.HTTPError:
            pass
        time.sleep(1)
    raise AssertionError(f"vLLM does not answer: {log.read_text('utf-8', 'replace')[-2000:]}")
