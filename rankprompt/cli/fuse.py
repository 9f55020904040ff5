"""``rankprompt fuse``: fuses several runs into one."""

from pathlib import Path

import typer

from rankprompt.cli.console import print_json, progress_bar, tell
from rankprompt.retrieval.run_fusion import FusionConfig, FusionManifest, fuse_files, parse_weights

__all__ = ["fuse"]


def fuse(
    runs: list[Path] = typer.Argument(
        ..., metavar="RUN...", help="Two or more runs in TREC format."
    ),
    output: Path = typer.Option(..., help="The run to write; its manifest is written beside it."),
    method: str = typer.Option(
        FusionConfig.method,
        help="By ranks: rrf, isr or borda. By scores: combsum, combmnz or combmax.",
    ),
    k: int | None = typer.Option(
        None,
        help="The constant of rrf: the larger it is, the less the first ranks count. Default: 60.",
    ),
    norm: str | None = typer.Option(
        None,
        help="How comb* methods normalise scores first: min-max (0 to 1), zmuv (mean 0, variance "
        "1) or none. Default: min-max.",
    ),
    weights: str | None = typer.Option(
        None,
        help="The weights of the runs, as in 0.3,0.7; for combsum, combmnz and borda. "
        "Default: equal weights.",
    ),
    depth: int | None = typer.Option(
        None, help="The largest number of documents per query in the output. Default: all."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print the manifest as JSON on stdout."),
    quiet: bool = typer.Option(False, "--quiet", help="Show no progress bar and no summary."),
) -> None:
    """Fuse runs of the same queries into one, with ranx.

    A query that a run lacks is fused from the others.
    """
    config = FusionConfig(
        runs=tuple(runs),
        method=method,
        k=k,
        norm=norm,
        weights=None if weights is None else parse_weights(weights),
        depth=depth,
    )
    silent = quiet or as_json
    manifest = fuse_files(
        config,
        output,
        lambda what, total: progress_bar(what, total, quiet=silent),
        compile_ranx=False,
    )
    if as_json:
        print_json(manifest)
    elif not quiet:
        tell(_summary(output, config, manifest))


def _summary(output: Path, config: FusionConfig, manifest: FusionManifest) -> str:
    clauses = [
        f"{len(config.runs)} runs",
        f"{manifest['queries']:,} queries",
        f"{manifest['candidates']:,} candidates",
    ]
    missing = {path: count for path, count in manifest["queries_missing"].items() if count}
    clauses += [f"{path} lacks {count:,} of the queries" for path, count in missing.items()]
    return f"{output}: {'; '.join(clauses)}; {manifest['costs']['seconds']:.1f} s"
