"""``rankprompt report``: one page that shows how runs compare."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from rankprompt.cli.console import tell
from rankprompt.cli.scoring_options import TIES_HELP, check_ties

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rankprompt.eval import Grades, Measure
    from rankprompt.types import Qrels

__all__ = ["report"]


def report(
    runs: list[Path] = typer.Argument(..., metavar="RUN...", help="Runs in TREC form."),
    output: Path = typer.Option(..., help="The page to write, such as report.html."),
    qrels: Path | None = typer.Option(None, help="Relevance grades in TREC form."),
    dataset: str | None = typer.Option(
        None, help="In place of --qrels and --queries: those of a collection; as in evaluate."
    ),
    split: str | None = typer.Option(None, help="Of the dataset, such as dev; as in evaluate."),
    queries: Path | None = typer.Option(
        None, help="Queries as TSV or JSONL, whose texts the page then shows."
    ),
    baseline: Path | None = typer.Option(
        None,
        help="The run that the others are compared with, as a rule the first stage. Left out: "
        "the first run.",
    ),
    measures: list[str] | None = typer.Option(
        None,
        help="As in evaluate. Single queries are looked at by the first; tests are corrected for "
        "all of them.",
    ),
    files: Path | None = typer.Option(
        None,
        help="A folder to write the data as CSV and JSON, the table as LaTeX and Markdown, and "
        "the plots as SVG and PNG to.",
    ),
    ties: str = typer.Option("docid", help=TIES_HELP),
    seed: int = typer.Option(0, help="Seed of the bootstrap and the randomisation test."),
) -> None:
    """Show how runs compare, in one self-contained page.

    Scores with intervals and tests, quality against cost, gains and losses by query, where the
    relevant documents went, the ceiling of the first stage, and what the answers say about the
    judge. Costs come from the manifest beside each run; where it is missing, or belongs to another
    run, they are unknown.
    """
    from rankprompt.eval import parse_measures
    from rankprompt.eval.report import build_report, name_runs
    from rankprompt.eval.report_files import write_report
    from rankprompt.files import check_writable

    check_ties(ties)
    asked = parse_measures(measures or ())
    first, others = baseline or runs[0], list(runs)
    if first in others:
        others.remove(first)
    chosen = name_runs([first, *others])
    check_writable(output)
    grades, judged, texts = _grades(qrels, dataset, split, queries, asked)
    found = build_report(
        chosen,
        grades,
        judged,
        asked,
        source=str(qrels or dataset),
        texts=texts,
        ties=ties,
        seed=seed,
    )
    for note in found.notes:
        tell(note)
    written = write_report(found, output, files)
    more = f", and {len(written) - 1} files in {files}" if files else ""
    typer.echo(f"{output}: {len(chosen)} runs{more}")


def _grades(
    qrels: Path | None,
    dataset: str | None,
    split: str | None,
    queries: Path | None,
    measures: "Sequence[Measure]",
) -> "tuple[Grades, Qrels, dict[str, str]]":
    """What scores the runs, the grades to show, and the queries' texts."""
    from rankprompt.datasets import open_collection
    from rankprompt.errors import InputError
    from rankprompt.eval import Grades
    from rankprompt.files import read_qrels, read_queries

    if (qrels is None) == (dataset is None):
        raise InputError("give either --qrels or --dataset")
    texts = read_queries(queries) if queries else {}
    if qrels:
        judged = read_qrels(qrels)
        return Grades(judged, measures), judged, texts
    collection = open_collection(dataset or "", split=split)
    grades = Grades.of(collection, measures)
    shown = collection.qrels("graded") or collection.qrels("binary") or {}
    return grades, shown, texts or dict(collection.queries())
