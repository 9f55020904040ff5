"""Which processor this is, and how many of its cores may be used; imports nothing heavy."""

import math
import os
import platform
from hashlib import blake2b
from pathlib import Path

from rankprompt.files.cache_directory import cache_dir

__all__ = ["available_cores", "formats_file", "processor_name"]


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
