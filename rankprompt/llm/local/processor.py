"""What this machine computes fast with: CPU threads, and the quicker of two number formats."""

import json
import logging
import math
import os
import time
from pathlib import Path

import torch

from rankprompt.errors import RankpromptError
from rankprompt.files.atomic_write import write_atomically
from rankprompt.llm.local.machine import available_cores, formats_file, processor_name
from rankprompt.llm.local.onednn_linear import prepack

__all__ = ["measure_ratio", "quicker_format", "use_threads"]

log = logging.getLogger("rankprompt")

# Rows, width and inner width of a small model's products; larger products gain at least as much.
_SHAPE = (256, 576, 1536)
_TRIALS, _REPEATS = 7, 4
# bfloat16 rounds more, so it must win clearly, and a noisy measurement must not decide.
_CLEARLY = 1.3


def use_threads(number: int | None) -> int:
    """Sets how many threads torch computes with on the CPU, and returns that number.

    None means OMP_NUM_THREADS, or without it as many as ``available_cores``.
    """
    if number is not None:
        torch.set_num_threads(number)
    elif "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, min(torch.get_num_threads(), available_cores())))
    return torch.get_num_threads()


def quicker_format(*, keep: bool = True) -> torch.dtype:
    """Returns bfloat16 if this processor multiplies clearly faster in it, or else float32.

    Measured once for each processor and version of torch, in some tens of milliseconds, and with
    ``keep`` kept in the cache directory: a journal's answers belong to a number format, so a
    resumed run must use the same one.
    """
    name = f"{processor_name()} | torch {torch.__version__}"
    path = formats_file()
    formats = _read(path)
    if name not in formats:
        ratio = measure_ratio()
        formats[name] = "bfloat16" if ratio >= _CLEARLY else "float32"
        log.debug("this processor multiplies %.1f times as fast in bfloat16 as in float32: "
                 "computing in %s", ratio, formats[name])  # fmt: skip
        if keep:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(path, json.dumps(formats, indent=2) + "\n")
            except (OSError, RankpromptError) as error:
                log.debug("the number format is not kept: %s", error)
    return torch.bfloat16 if formats[name] == "bfloat16" else torch.float32


def _read(path: Path) -> dict[str, str]:
    try:
        formats = json.loads(path.read_text("utf-8"))
        return {name: one for name, one in formats.items() if one in ("bfloat16", "float32")}
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}


def measure_ratio() -> float:
    """Measures how many times as fast as float32 this processor multiplies bfloat16."""
    # On one thread, since two may wait for a busy neighbour.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _seconds(torch.float32) / _seconds(torch.bfloat16)
    finally:
        torch.set_num_threads(threads)


@torch.inference_mode()
def _seconds(dtype: torch.dtype) -> float:
    """Returns the least time that a few products take."""
    rows, width, inner = _SHAPE
    left, layer = torch.ones(rows, width, dtype=dtype), torch.nn.Linear(width, inner, dtype=dtype)
    prepack(layer)
    best = math.inf
    for _ in range(_TRIALS):
        started = time.perf_counter()
        for _ in range(_REPEATS):
            layer(left)
        best = min(best, time.perf_counter() - started)
    return best
