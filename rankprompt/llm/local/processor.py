"""What this machine is fast at: threads to compute with, and the quicker number format."""

import json
import logging
import math
import os
import platform
import time
from hashlib import blake2b
from pathlib import Path

import torch

from rankprompt.errors import RankpromptError
from rankprompt.files.atomic_write import write_atomically
from rankprompt.files.cache_directory import cache_dir
from rankprompt.llm.local.onednn_linear import lay_out

__all__ = ["quicker_format", "use_threads"]

log = logging.getLogger("rankprompt")

# Rows, width and inner width of a small model's products; a larger one's gain at least as much.
_SHAPE = (256, 576, 1536)
_TRIALS, _REPEATS = 7, 4
# bfloat16 rounds more, so it must win clearly; and a noisy trial must not turn the scale.
_CLEARLY = 1.3


def use_threads(number: int | None) -> int:
    """Sets how many threads torch computes with on the processor.

    Args:
        number: how many; None for what OMP_NUM_THREADS says, or else for as many as the cores that
            this process may use (its affinity, and a container's quota).

    Returns:
        How many there are now.
    """
    if number is not None:
        torch.set_num_threads(number)
    elif "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, min(torch.get_num_threads(), _cores())))
    return torch.get_num_threads()


def quicker_format(*, keep: bool = True) -> torch.dtype:
    """The number format that this processor multiplies clearly faster in, float32 where neither is.

    Measured once for a processor and a version of torch, in some tens of milliseconds, and kept in
    the cache: a journal's answers belong to a format, so a resumed run must find the same.

    Args:
        keep: False leaves no trace.
    """
    name = f"{_processor()} | torch {torch.__version__}"
    path = cache_dir("machines.json")
    known = _read(path)
    if name not in known:
        ratio = _ratio()
        known[name] = "bfloat16" if ratio >= _CLEARLY else "float32"
        log.debug("this processor multiplies %.1f times as fast in bfloat16 as in float32: "
                 "computing in %s", ratio, known[name])  # fmt: skip
        if keep:
            _write(path, known)
    return torch.bfloat16 if known[name] == "bfloat16" else torch.float32


def _write(path: Path, known: dict[str, str]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(known, indent=2) + "\n")
    except (OSError, RankpromptError) as error:
        log.debug("the choice is not kept: %s", error)


def _read(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_text("utf-8"))
        return {name: one for name, one in found.items() if one in ("bfloat16", "float32")}
    except (OSError, ValueError, AttributeError):
        return {}


def _ratio() -> float:
    """How many times as fast bfloat16 is, on one thread: two may wait for a busy neighbour."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _seconds(torch.float32) / _seconds(torch.bfloat16)
    finally:
        torch.set_num_threads(threads)


@torch.inference_mode()
def _seconds(dtype: torch.dtype) -> float:
    """The least time that a few products take."""
    rows, width, inner = _SHAPE
    left, layer = torch.ones(rows, width, dtype=dtype), torch.nn.Linear(width, inner, dtype=dtype)
    lay_out(layer)
    best = math.inf
    for _ in range(_TRIALS):
        started = time.perf_counter()
        for _ in range(_REPEATS):
            layer(left)
        best = min(best, time.perf_counter() - started)
    return best


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return cores if quota == "max" else min(cores, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):
        return cores


def _processor() -> str:
    """A processor's name with a digest of its features, for a virtual one may hide some."""
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
        found = {key.strip(): value for key, _, value in (line.partition(":") for line in lines)}
        features = " ".join(sorted(found["flags"].split()))
        name = found["model name"].strip()
        return f"{name} {blake2b(features.encode(), digest_size=4).hexdigest()}"
    except (OSError, KeyError):
        return platform.processor() or platform.machine()
