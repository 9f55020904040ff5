"""``rankprompt fuse``: one run from several."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from rankprompt.cli.console import print_json, progress_bar, tell

__all__ = ["fuse"]


@dataclass(frozen=True)
class _Fusion:
    runs: list[str]
    method: str
    k: int | None
    norm: str | None
    weights: list[float] | None
    depth: int | None


def fuse(
    runs: list[Path] = typer.Argument(..., metavar="RUN...", help="Two runs or more, TREC form."),
    output: Path = typer.Option(..., help="The run to write; its manifest lies beside it."),
    method: str = typer.Option(
        "rrf",
        help="By ranks: rrf, isr or borda. By scores: combsum, combmnz or combmax.",
    ),
    k: int | None = typer.Option(
        None, help="Of rrf: the larger, the less a first rank counts; left out: 60."
    ),
    norm: str | None = typer.Option(
        None,
        help="What scores are brought to first: min-max (0 to 1), zmuv (mean 0, variance 1) or "
        "none; left out: min-max.",
    ),
    weights: str | None = typer.Option(
        None, help="Of the runs, as in 0.3,0.7; for combsum, combmnz and borda."
    ),
    depth: int | None = typer.Option(
        None, help="Documents a query in the output; left out: all that a run has."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print the manifest on stdout."),
    quiet: bool = typer.Option(False, "--quiet", help="No progress bar and no summary."),
) -> None:
    """Fuse runs of the same queries into one, with ranx.

    A query that a run lacks is fused from the others.
    """
    import json
    import time
    from itertools import islice

    from rankprompt.errors import InputError
    from rankprompt.files import Scratch, check_writable, read_run, write_together
    from rankprompt.files.manifest import describe_file, format_manifest, manifest_path, versions
    from rankprompt.files.trec_run import format_scores
    from rankprompt.retrieval.fusion import RRF_K
    from rankprompt.retrieval.fusion import fuse as fuse_runs

    started = time.perf_counter()
    if len({path.resolve() for path in runs}) < len(runs):
        raise InputError("each run may be given once; --weights makes one count more")
    if depth is not None and depth < 1:
        raise InputError(f"--depth must be at least 1, not {depth}")
    beside = manifest_path(output)
    if {output.resolve(), beside.resolve()} & {path.resolve() for path in runs}:
        raise InputError(f"{output}: an input would be overwritten; name another --output")
    check_writable(output)
    shares = _numbers(weights) if weights is not None else None
    loaded = [read_run(path) for path in runs]
    fused = fuse_runs(loaded, method, k=k, norm=norm, weights=shares)
    queries = {query for run in loaded for query in run}
    missing = {str(path): len(queries - run.keys()) for path, run in zip(runs, loaded, strict=True)}
    if "numba" not in sys.modules:  # which reads this as it is imported
        # Compiling takes a minute and gains nothing.
        os.environ.setdefault("NUMBA_DISABLE_JIT", "1")
    candidates = 0
    with (
        Scratch(output) as scratch,
        progress_bar("fusing", len(queries), quiet=quiet or as_json) as advance,
    ):
        for query, scores in fused:
            kept = dict(islice(scores.items(), depth))
            scratch.write(format_scores(query, kept, method))
            candidates += len(kept)
            advance(1)
        manifest = format_manifest(
            _Fusion(
                runs=[str(path) for path in runs],
                method=method,
                k=RRF_K if method == "rrf" and k is None else k,
                norm=norm or ("min-max" if method.startswith("comb") else None),
                weights=shares,
                depth=depth,
            ),
            {
                "inputs": {"runs": [describe_file(path) for path in runs]},
                "versions": versions(("rankprompt", "ranx", "numpy")),
                "queries": len(queries),
                "queries_missing": missing,
                "candidates": candidates,
                "costs": {"seconds": round(time.perf_counter() - started, 3)},
            },
        )
        write_together({output: scratch, beside: manifest})
    if as_json:
        print_json(json.loads(manifest))
    elif not quiet:
        tell(_summary(output, json.loads(manifest)))


def _numbers(text: str) -> list[float]:
    from rankprompt.errors import InputError

    try:
        return [float(one) for one in text.replace(",", " ").split()]
    except ValueError:
        raise InputError(f"--weights are numbers, as in 0.3,0.7, not {text!r}") from None


def _summary(output: Path, manifest: dict[str, Any]) -> str:
    parts = [
        f"{len(manifest['settings']['runs'])} runs",
        f"{manifest['queries']:,} queries",
        f"{manifest['candidates']:,} candidates",
    ]
    lacking = {path: count for path, count in manifest["queries_missing"].items() if count}
    parts += [f"{path} lacks {count:,} of the queries" for path, count in lacking.items()]
    return f"{output}: {'; '.join(parts)}; {manifest['costs']['seconds']:.1f} s"
