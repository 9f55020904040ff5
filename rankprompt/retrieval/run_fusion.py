"""Fusion of run files into one run file, as ``rankprompt fuse`` does it."""

import os
import sys
import time
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TypedDict, cast

from rankprompt.errors import InputError
from rankprompt.files.manifest import FileDescription, check_paths, describe_file, versions
from rankprompt.files.trec_run import read_run
from rankprompt.retrieval.fusion import DEFAULT_NORM, METHODS, RRF_K, fuse
from rankprompt.retrieval.scored_run import RunCounts, write_scored_run
from rankprompt.types import Progress, no_progress

__all__ = ["FusionConfig", "FusionManifest", "fuse_files", "parse_weights"]


@dataclass(frozen=True)
class FusionConfig:
    """The configuration of a fusion, with its defaults.

    Attributes:
        runs: two or more run files, each of them once.
        method: one of ``fusion.METHODS``.
        k: the constant of "rrf"; None for 60.
        norm: one of ``fusion.NORMS``; None for "min-max", if the method reads scores.
        weights: a weight for each run, for the methods that take weights.
        depth: the largest number of documents per query in the output; None keeps all.
    """

    runs: tuple[Path, ...]
    method: str = "rrf"
    k: int | None = None
    norm: str | None = None
    weights: tuple[float, ...] | None = None
    depth: int | None = None


class FusionManifest(TypedDict):
    """The manifest of a fusion."""

    form: str
    created: str
    settings: dict[str, object]
    inputs: dict[str, list[FileDescription]]
    versions: dict[str, str]
    queries: int
    queries_missing: dict[str, int]
    candidates: int
    costs: dict[str, float]


def parse_weights(text: str) -> tuple[float, ...]:
    """Parses weights that are separated by commas or white space.

    Raises:
        InputError: one of them is not a number.
    """
    try:
        return tuple(float(number) for number in text.replace(",", " ").split())
    except ValueError:
        raise InputError(f"`weights` are numbers, as in 0.3,0.7, not {text!r}") from None


def fuse_files(
    config: FusionConfig,
    output: Path,
    progress: Progress = no_progress,
    *,
    compile_ranx: bool = True,
) -> FusionManifest:
    """Fuses run files, and writes the fused run and its manifest.

    Args:
        config: the configuration.
        output: the run to write.
        progress: opens a progress bar.
        compile_ranx: let numba compile ranx, which takes a minute and gains nothing for a few runs.
            Has no effect once numba is imported.

    Returns:
        The manifest.

    Raises:
        InputError: a run cannot be read, a file cannot be written, or the configuration is
            contradictory; nothing is written.
    """
    started = time.perf_counter()
    if len({path.resolve() for path in config.runs}) < len(config.runs):
        raise InputError("each run may be given once; `weights` makes one count more")
    if config.depth is not None and config.depth < 1:
        raise InputError(f"`depth` must be at least 1, not {config.depth}")
    check_paths(output, None, config.runs)
    runs = {path: read_run(path) for path in config.runs}
    fused = fuse(
        list(runs.values()), config.method, k=config.k, norm=config.norm, weights=config.weights
    )
    # The manifest records the defaults.
    if config.method == "rrf" and config.k is None:
        resolved = replace(config, k=RRF_K)
    elif not METHODS[config.method].by_rank:
        resolved = replace(config, norm=config.norm or DEFAULT_NORM)
    else:
        resolved = config
    queries = {query for run in runs.values() for query in run}
    if not compile_ranx and "numba" not in sys.modules:  # which reads the variable at its import
        os.environ.setdefault("NUMBA_DISABLE_JIT", "1")

    def describe(counts: RunCounts) -> tuple[FusionConfig, dict[str, object]]:
        return resolved, {
            "inputs": {"runs": [describe_file(path) for path in config.runs]},
            "versions": versions(("rankprompt", "ranx", "numpy")),
            "queries": len(queries),
            "queries_missing": {str(path): len(queries - run.keys()) for path, run in runs.items()},
            "candidates": counts.candidates,
            "costs": {"seconds": round(time.perf_counter() - started, 3)},
        }

    top = ((query, dict(islice(scores.items(), config.depth))) for query, scores in fused)
    with progress("fusing", len(queries)) as advance:
        manifest = write_scored_run(output, config.method, top, advance, describe)
    return cast("FusionManifest", manifest)
