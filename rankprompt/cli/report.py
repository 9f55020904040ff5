"""``rankprompt report``: one page that shows how runs compare."""

from pathlib import Path

import typer

from rankprompt.cli.console import tell
from rankprompt.cli.scoring_options import (
    DEFAULT_HELP,
    MEASURES_HELP,
    GradesDataset,
    QrelsFile,
    RunFiles,
    Seed,
    Shared,
    Split,
    Ties,
)
from rankprompt.eval.measures import parse_measures

__all__ = ["report"]


def report(
    runs: RunFiles,
    output: Path = typer.Option(..., help="The page to write, such as report.html."),
    qrels: QrelsFile = None,
    dataset: GradesDataset = None,
    split: Split = None,
    queries: Path | None = typer.Option(
        None,
        help="Queries, as TSV (id, tab, text), JSONL or TREC topics, whose texts the page shows. "
        "Default: those of the dataset; with --qrels none.",
    ),
    baseline: Path | None = typer.Option(
        None,
        help="The run that the others are compared with, usually the first stage. "
        "Default: the first run.",
    ),
    measures: list[str] | None = typer.Option(
        None,
        help=f"{MEASURES_HELP} All that is shown by query is by the first measure, whose tests are "
        f"corrected for the runs; those of the others for all runs and measures. {DEFAULT_HELP}",
    ),
    files: Path | None = typer.Option(
        None,
        help="Folder for the data as CSV and JSON, the table as LaTeX and Markdown, and the plots "
        "as SVG and PNG. Default: none of these are written.",
    ),
    ties: Ties = "docid",
    shared: Shared = False,
    seed: Seed = 0,
) -> None:
    """Show how runs compare, in one self-contained page.

    Scores with intervals and tests, quality against cost, gains and losses by query, where the
    relevant documents went, the ceiling of the first stage, and what the answers say about the
    judge. Costs come from the manifest beside each run; where it is missing, or belongs to another
    run, they are unknown.
    """
    from rankprompt.errors import require
    from rankprompt.eval.report import build_report, name_runs
    from rankprompt.eval.report_files import write_report
    from rankprompt.eval.run_files import check_ties
    from rankprompt.eval.scored_runs import read_grades
    from rankprompt.files import check_writable, read_queries

    require("matplotlib")
    check_ties(ties)
    parsed = parse_measures(measures or ())
    first = baseline or runs[0]
    others = list(runs)
    if first in others:
        others.remove(first)
    named = name_runs([first, *others])
    check_writable(output)
    grades, collection = read_grades(qrels, dataset, split, parsed)
    texts = read_queries(queries) if queries else collection.queries() if collection else {}
    built = build_report(
        named,
        grades,
        source=str(qrels or dataset),
        texts=texts,
        ties=ties,
        seed=seed,
        shared=shared,
    )
    for note in built.notes:
        tell(note)
    written = write_report(built, output, files)
    more = f", and {len(written) - 1} files in {files}" if files else ""
    typer.echo(f"{output}: {len(named)} runs{more}")
