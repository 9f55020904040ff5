"""Runs llama.cpp's llama-server on a GGUF file, and requests next tokens from it."""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PORT = 18080
ADDRESS = f"http://127.0.0.1:{PORT}"
# Without these, keys and values are float16, and attention is computed blockwise.
FLOAT32 = ("-ctk", "f32", "-ctv", "f32", "-fa", "off")

Likely = list[dict[int, float]]  # for each prompt, next tokens and their log-probabilities


@contextmanager
def running(server: Path, model: Path, flags: Sequence[str] = ()) -> Iterator[None]:
    """Runs llama-server on a GGUF file, at ADDRESS."""
    with tempfile.TemporaryDirectory() as links:
        # The wheel lacks the links by which the loader finds the libraries.
        for library in server.parent.glob("lib*.so.*.*.*"):
            short = library.name.rsplit(".", 2)[0]
            Path(links, short).symlink_to(library)
        environment = {
            **os.environ,
            "LD_LIBRARY_PATH": f"{links}:{server.parent}",
            # Threads that spin while waiting would take the cores from this process.
            "OMP_WAIT_POLICY": "passive",
        }
        command = [
            str(server), "-m", str(model), "--port", str(PORT), "-c", "16384", "-np", "4", *flags,
        ]  # fmt: skip
        log = Path(links, "log")
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, env=environment, stdout=output, stderr=subprocess.STDOUT
            )
            try:
                wait(process, log)
                yield
            finally:
                process.terminate()
                process.wait(20)


def wait(process: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(120):
        if process.poll() is not None:
            sys.exit(f"llama-server ended:\n{log.read_text('utf-8', 'replace')[-2000:]}")
        try:
            with urllib.request.urlopen(f"{ADDRESS}/health", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    sys.exit("llama-server did not come up within a minute")


def post(path: str, body: dict[str, Any]) -> Any:
    sent = urllib.request.Request(
        ADDRESS + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(sent, timeout=120) as reply:
        return json.load(reply)


def likely_there(prompts: Sequence[str]) -> Likely:
    """Returns the 20 most likely next tokens of each prompt."""
    likely = []
    for prompt in prompts:
        body = {"prompt": prompt, "max_tokens": 1, "temperature": 0, "logprobs": 20}
        (entry,) = post("/v1/completions", body)["choices"][0]["logprobs"]["content"]
        likely.append({top["id"]: top["logprob"] for top in entry["top_logprobs"]})
    return likely
