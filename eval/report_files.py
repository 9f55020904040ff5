"""The report's data, tables and plots as files, for papers and further work."""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, fields
from io import StringIO
from pathlib import Path
from typing import Any

from rankprompt.errors import InputError
from rankprompt.eval.comparison import Comparison
from rankprompt.eval.figures import to_png, to_svg
from rankprompt.eval.rank_movement import BANDS
from rankprompt.eval.report import Report
from rankprompt.eval.report_page import format_page, plots_of
from rankprompt.files import write_together

__all__ = ["write_report"]

_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
        **{one: f"\\{one}" for one in "&%$#_{}"},
    }
)  # fmt: skip
_MARKDOWN = str.maketrans({one: f"\\{one}" for one in "\\`*_[]<>|#"})


def write_report(report: Report, output: Path, folder: Path | None = None) -> list[Path]:
    """Writes the page, and the files where a folder is named: all of them or none.

    Args:
        report: what to say.
        output: the page.
        folder: is made where it is missing; what else it holds stays.

    Returns:
        The files written, the page first.

    Raises:
        InputError: one cannot be written; the old ones are untouched.
    """
    texts: dict[Path, str | bytes] = {output: format_page(report)}
    if folder is not None:
        texts |= {folder / name: text for name, text in _files(report)}
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot make the folder {folder}: {error.strerror}") from error
    write_together(texts)
    return list(texts)


def _files(report: Report) -> Iterator[tuple[str, str | bytes]]:
    yield "report.json", json.dumps(report.as_data(), indent=1) + "\n"
    means, queries, compared = _means(report), _queries(report), _comparisons(report)
    yield "means.csv", _csv(means)
    yield "comparisons.csv", _csv(compared)
    yield "queries.csv", _csv(queries)
    yield "movement.csv", _csv(_movements(report))
    yield "ceiling.csv", _csv(_ceiling(report))
    yield "costs.csv", _csv(_costs(report))
    rows = _summary(report)
    yield "scores.tex", _latex(rows)
    yield "scores.md", _markdown(rows)
    for name, plot in plots_of(report).items():
        yield f"{name}.svg", to_svg(plot.draw())
        yield f"{name}.png", to_png(plot.draw())


def _means(report: Report) -> Iterator[Sequence[Any]]:
    yield "run", "measure", "mean", "low", "high"
    for run in report.runs:
        for name in report.measures:
            one = run.intervals[name]
            ends = (one.low, one.high) if one else (None, None)
            yield run.name, name, run.scores.means[name], *ends


def _comparisons(report: Report) -> Iterator[Sequence[Any]]:
    names = [one.name for one in fields(Comparison) if one.name != "interval"]
    yield *names, "low", "high"
    for one in report.comparisons:
        ends = astuple(one.interval)[:2] if one.interval else (None, None)
        yield *(getattr(one, name) for name in names), *ends


def _queries(report: Report) -> Iterator[Sequence[Any]]:
    yield "query", "text", "run", *report.measures
    for query in report.first.scores.by_query[report.main]:
        for run in report.runs:
            values = (run.scores.by_query[name][query] for name in report.measures)
            yield query, report.texts.get(query), run.name, *values


def _movements(report: Report) -> Iterator[Sequence[Any]]:
    yield "run", "before", "after", "documents"
    for run in report.others:
        assert run.movement is not None
        for before, counts in zip(BANDS, run.movement.counts, strict=True):
            for after, count in zip(BANDS, counts, strict=True):
                yield run.name, before, after, count


def _ceiling(report: Report) -> Iterator[Sequence[Any]]:
    yield tuple(report.ceiling[0])
    for one in report.ceiling:
        yield tuple(one.values())


def _costs(report: Report) -> Iterator[Sequence[Any]]:
    names = ("comparisons", "prompts", "from_journal", "tokens", "seconds", "problem")
    yield "run", *names
    for run in report.runs:
        yield run.name, *(getattr(run.cost, name) for name in names)


def _summary(report: Report) -> list[list[str]]:
    """Means with a star where a run differs from the baseline, as a paper prints them."""
    rows = [["Run", *report.measures]]
    for run in report.runs:
        row = [run.name]
        for name in report.measures:
            one = run.comparisons.get(name)
            sure = one is not None and one.holm is not None and one.holm < 0.05
            row.append(f"{run.scores.means[name]:.4f}{'*' if sure else ''}")
        rows.append(row)
    return rows


def _csv(rows: Iterable[Sequence[Any]]) -> str:
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _latex(rows: Sequence[Sequence[str]]) -> str:
    head, *body = [[cell.translate(_LATEX).replace("*", "$^{*}$") for cell in row] for row in rows]
    lines = [
        "% Needs \\usepackage{booktabs}. *: differs from the first run, Holm-corrected p < .05.",
        f"\\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}",
        "\\toprule",
        f"{' & '.join(head)} \\\\",
        "\\midrule",
        *(f"{' & '.join(row)} \\\\" for row in body),
        "\\bottomrule",
        "\\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    head, *body = [[cell.translate(_MARKDOWN) for cell in row] for row in rows]
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *body]
    table = "".join(f"| {' | '.join(row)} |\n" for row in lines)
    return f"{table}\n\\*: differs from the first run, Holm-corrected p < .05.\n"
