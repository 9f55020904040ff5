"""Which processor this is, and how many of its cores may be used; imports nothing heavy."""

import math
import os
import platform
from hashlib import blake2b
from pathlib import Path

from rankprompt.files.cache_directory import cache_dir

__all__ = ["available_cores", "available_memory", "formats_file", "processor_name"]


def available_cores() -> int:
    """Counts the cores that this process may use: its affinity, and a container's quota."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return cores if quota == "max" else min(cores, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):
        return cores


def processor_name() -> str:
    """Returns the processor's name and a digest of its features, some of which a VM may hide."""
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
        values = {key.strip(): value for key, _, value in (line.partition(":") for line in lines)}
        features = " ".join(sorted(values["flags"].split()))
        name = values["model name"].strip()
        return f"{name} {blake2b(features.encode(), digest_size=4).hexdigest()}"
    except (OSError, KeyError):
        return platform.processor() or platform.machine()


def formats_file() -> Path:
    """The file of the number formats that were measured to be quicker, by processor."""
    return cache_dir("machines.json")


def available_memory() -> int | None:
    """Returns the bytes that this process may still take: the machine's, and a container's limit.

    What only speeds up the reading of files counts as free; None where the system does not say.
    """
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        pairs = (line.split(":") for line in lines)
        sizes = {key: int(value.split()[0]) << 10 for key, value in pairs}
        free = sizes["MemAvailable"] + sizes["SwapFree"]
    except (OSError, ValueError, KeyError, IndexError):
        return None
    try:
        group = Path("/sys/fs/cgroup")
        limit = (group / "memory.max").read_text().strip()
        used = int((group / "memory.current").read_text())
        lines = (group / "memory.stat").read_text().splitlines()
        cached = sum(int(x.split()[1]) for x in lines if x.startswith("inactive_file "))
        return free if limit == "max" else min(free, max(0, int(limit) - used + cached))
    except (OSError, ValueError, IndexError):
        return free
