"""Runs and grades as a caller gives them: files, or mappings that a program holds in memory."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from rankprompt.errors import InputError
from rankprompt.types import Qrels, Run

__all__ = ["QrelsSource", "RunSource", "Runs", "add_baseline", "name_runs", "qrels_source"]

RunSource: TypeAlias = str | os.PathLike[str] | Run
"""A run: a file in TREC form, or finite scores by query id and document id, higher is better."""

Runs: TypeAlias = RunSource | Sequence[str | os.PathLike[str]] | Mapping[str, RunSource]
"""Runs by name, or a single run, or files, which are named by their paths."""

QrelsSource: TypeAlias = str | os.PathLike[str] | Qrels
"""Relevance grades: a file in TREC form, or whole numbers by query id and document id."""

_SINGLE, _BASELINE = "run", "baseline"


def qrels_source(qrels: QrelsSource | None) -> Path | Qrels | None:
    """Turns the name of a file into a path."""
    return Path(qrels) if isinstance(qrels, str | os.PathLike) else qrels


def name_runs(runs: Runs) -> dict[str, Path | Run]:
    """Names runs; a file is named by its path, and a single mapping is called "run".

    Raises:
        InputError: there is no run, a file is given twice, or a value is no run.
    """
    if isinstance(runs, str | os.PathLike):
        return {os.fspath(runs): Path(runs)}
    if isinstance(runs, Mapping):
        if not runs:
            raise InputError("give at least one run")
        if _is_run(runs):
            return {_SINGLE: _source(_SINGLE, runs)}
        return {str(name): _source(str(name), run) for name, run in runs.items()}
    if not isinstance(runs, Sequence) or not all(isinstance(r, str | os.PathLike) for r in runs):
        raise InputError(
            "`runs` must be a file, scores by query and document, a list of files, or a mapping of "
            "names to runs"
        )
    named: dict[str, Path | Run] = {os.fspath(run): Path(run) for run in runs}
    if not named:
        raise InputError("give at least one run")
    if len(named) < len(runs):
        raise InputError("each run may be given once")
    return named


def add_baseline(
    named: Mapping[str, Path | Run], baseline: RunSource
) -> tuple[dict[str, Path | Run], str]:
    """Puts the baseline first.

    Args:
        named: runs by name.
        baseline: one of the names, or another run.

    Returns:
        All runs by name, and the name of the baseline.

    Raises:
        InputError: the baseline is neither, or its name is another run's.
    """
    if isinstance(baseline, str | os.PathLike):
        name = os.fspath(baseline)
        if name in named:
            return {name: named[name], **named}, name
        if not Path(name).is_file():
            raise InputError(
                f"`baseline` {name!r} is none of the runs ({', '.join(named)}) and no file"
            )
        return {name: Path(name), **named}, name
    if _BASELINE in named:
        raise InputError(f"a run is called {_BASELINE!r} already; give that name as the baseline")
    return {_BASELINE: _source(_BASELINE, baseline), **named}, _BASELINE


def _source(name: str, run: object) -> Path | Run:
    if isinstance(run, str | os.PathLike):
        return Path(run)
    if isinstance(run, Mapping):
        return run
    raise InputError(f"{name}: expected a file or a mapping, not {type(run).__name__}")


def _is_run(runs: Mapping[str, object]) -> bool:
    """Whether the keys are queries rather than names of runs."""
    return not any(isinstance(value, str | os.PathLike) for value in runs.values()) and any(
        isinstance(value, Mapping)
        and value
        and not any(isinstance(scores, Mapping) for scores in value.values())
        for value in runs.values()
    )
