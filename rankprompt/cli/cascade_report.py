"""``rankprompt cascade report``: what a cascade keeps of quality, and what it saves."""

from dataclasses import asdict
from functools import partial

import typer

from rankprompt.cascade.report import CascadeReport, CascadeReportConfig, report_cascade
from rankprompt.cli.console import print_json, print_table, progress_bar, tell
from rankprompt.cli.options_from_annotations import options_of
from rankprompt.errors import require

__all__ = ["report"]

# Title and format of each column of the table.
_COLUMNS = {
    "k": ("k", "{:,}"), "ndcg@10": ("nDCG@10", "{:.4f}"), "share": ("kept", "{:.1%}"),
    "overlap": ("overlap", "{:.1%}"), "p50": ("p50 ms", "{:,.0f}"), "p95": ("p95 ms", "{:,.0f}"),
    "p99": ("p99 ms", "{:,.0f}"), "p95_share": ("p95 share", "{:.0%}"),
    "teacher_calls": ("calls", "{:,.1f}"), "teacher_tokens": ("tokens", "{:,.0f}"),
}  # fmt: skip


@options_of(CascadeReportConfig)
def report(
    config: CascadeReportConfig,
    *,
    as_json: bool = typer.Option(False, "--json", help="Print JSON instead of a table."),
    quiet: bool = typer.Option(False, "--quiet", help="Show no progress bar and no summary."),
) -> None:
    """Show quality, overlap with the teacher, latency and cost of every student and k.

    The teacher scores every window once, and its scores are stored. So nDCG@10, and the share of
    the teacher's own best k windows that a student chooses, are known for each. Latency, teacher
    calls and tokens are measured anew on some queries, with all variants in turn on each query.
    """
    if config.output:
        require("matplotlib")
    result = report_cascade(config, partial(progress_bar, "measuring", quiet=quiet or as_json))
    if as_json:
        print_json(asdict(result))
        return
    table = []
    for row in result.rows:
        values = dict(row)
        formats = {key: "" if values[key] is None else form for key, (_, form) in _COLUMNS.items()}
        table.append([row["student"], *(form.format(values[key]) for key, form in formats.items())])
    print_table(["student", *(title for title, _ in _COLUMNS.values())], table)
    if not quiet:
        tell(_summary(result))


def _summary(result: CascadeReport) -> str:
    counts = {
        "queries without grades": result.queries_without_grades,
        "documents cut": result.documents_cut,
        "queries cut": result.queries_cut,
    }
    return (
        f"{result.queries} queries, {result.documents:,} documents, {result.windows:,} windows; "
        f"aggregated by {result.aggregate}; the first stage has nDCG@10 {result.first_stage:.4f}; "
        "milliseconds, calls and tokens are per query, measured on "
        f"{result.queries_timed} queries"
        + "".join(f"; {count} {noun}" for noun, count in counts.items() if count)
    )
