"""The report on disk: the page, and its data, tables and plots as files of their own."""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from io import StringIO
from pathlib import Path

from rankprompt.errors import InputError
from rankprompt.eval.ceiling import Ceiling
from rankprompt.eval.comparison import Comparison, Interval
from rankprompt.eval.figures import to_png, to_svg
from rankprompt.eval.rank_movement import BANDS
from rankprompt.eval.reliability import Bin
from rankprompt.eval.report import Report
from rankprompt.eval.report_page import format_page
from rankprompt.eval.report_plots import plots_of
from rankprompt.files import write_atomically, write_together
from rankprompt.files.atomic_folder import build_beside, swap

__all__ = ["write_report"]

_Rows = Iterator[Iterable[object]]

_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
        **{char: f"\\{char}" for char in "&%$#_{}"},
    }
)  # fmt: skip
_MARKDOWN = str.maketrans({char: f"\\{char}" for char in "\\`*_[]<>|#"})


_NAME = re.compile(
    r"report\.json|(means|comparisons|queries|movement|ceiling|costs|reliability)\.csv"
    r"|scores\.(tex|md)"
    r"|(intervals|cost-\w+|differences-\d+|movement-\d+|ceiling|reliability-\d+)\.(svg|png)"
)
"""The name of a file of a report."""


def write_report(report: Report, output: Path, folder: Path | None = None) -> list[Path]:
    """Writes the page, and with a folder the data, tables and plots: all files or none.

    Args:
        report: the evaluation.
        output: the page.
        folder: is made where it is missing. One that holds only files of an earlier report is
            replaced whole; other files in it stay.

    Returns:
        The files written, the page first.

    Raises:
        InputError: a file cannot be written; files that were there are unchanged.
    """
    page = format_page(report)
    if folder is None:
        write_atomically(output, page)
        return [output]
    files = dict(_files(report))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        others = {path.name for path in folder.iterdir() if not _is_of_report(path)}
    except OSError as error:
        raise InputError(f"cannot make the folder {folder}: {error.strerror}") from error
    place = folder.resolve()
    in_use = place == Path.cwd() or any(
        place in path.parents for path in (Path.cwd(), output.resolve())
    )
    if others or in_use:
        # Its own files alone are replaced, and the page last: no page is newer than its files.
        write_together({**{folder / name: text for name, text in files.items()}, output: page})
    else:
        _replace_folder(place, files, output, page)
    return [output, *(folder / name for name in files)]


def _is_of_report(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and bool(_NAME.fullmatch(path.name))


def _replace_folder(
    folder: Path, files: Mapping[str, str | bytes], output: Path, page: str
) -> None:
    """Puts a new folder in the place of the old one, and then the page."""
    try:
        with build_beside(folder) as scratch:
            new = scratch / "new"
            new.mkdir()
            write_together({new / name: content for name, content in files.items()})
            write_together({output: page}, ready=lambda: swap(new, folder, scratch / "old"))
    except OSError as error:
        raise InputError(f"cannot write {folder}: {error.strerror or error}") from error


def _files(report: Report) -> Iterator[tuple[str, str | bytes]]:
    yield "report.json", json.dumps(report.as_data(), indent=1) + "\n"
    tables = [_means, _comparisons, _queries, _movement, _ceiling, _costs]
    if report.probabilistic:
        tables.append(_reliability)
    for rows_of in tables:
        text = StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows_of(report))
        yield f"{rows_of.__name__.removeprefix('_')}.csv", text.getvalue()
    table, legend = _score_table(report), _legend(report)
    yield "scores.tex", _latex(table, legend)
    yield "scores.md", _markdown(table, legend)
    for name, plot in plots_of(report).items():
        yield f"{name}.svg", to_svg(plot.draw())
        yield f"{name}.png", to_png(plot.draw())


def _means(report: Report) -> _Rows:
    yield "run", "measure", "mean", "low", "high"
    for run in report.runs:
        for name in report.measures:
            yield run.name, name, run.scores.means[name], *_ends(run.intervals[name])


def _comparisons(report: Report) -> _Rows:
    names = [field.name for field in fields(Comparison) if field.name != "interval"]
    yield *names, "low", "high"
    for comparison in report.comparisons:
        yield *(getattr(comparison, name) for name in names), *_ends(comparison.interval)


def _ends(interval: Interval | None) -> tuple[float | None, float | None]:
    return (interval.low, interval.high) if interval else (None, None)


def _queries(report: Report) -> _Rows:
    yield "query", "text", "run", *report.measures
    for query in report.baseline_run.scores.by_query[report.main_measure]:
        for run in report.runs:
            values = (run.scores.by_query[name][query] for name in report.measures)
            yield query, report.texts.get(query), run.name, *values


def _movement(report: Report) -> _Rows:
    yield "run", "before", "after", "documents"
    for run in report.others:
        assert run.movement is not None
        for before, counts in zip(BANDS, run.movement.counts, strict=True):
            for after, count in zip(BANDS, counts, strict=True):
                yield run.name, before, after, count


def _ceiling(report: Report) -> _Rows:
    yield [field.name for field in fields(Ceiling)]
    for row in report.ceiling:
        yield asdict(row).values()


def _costs(report: Report) -> _Rows:
    names = ("comparisons", "prompts", "from_journal", "tokens", "seconds", "problem")
    yield "run", *names
    for run in report.runs:
        yield run.name, *(getattr(run.cost, name) for name in names)


def _reliability(report: Report) -> _Rows:
    yield "run", *Bin._fields
    for run in report.probabilistic.values():
        assert run.reliability is not None
        for row in run.reliability.bins:
            yield run.name, *row


def _score_table(report: Report) -> list[list[str]]:
    """Means with a star where a run differs from the baseline, as papers print them."""
    rows = [["Run", *report.measures]]
    for run in report.runs:
        stars = {name: "*" * c.significant for name, c in run.comparisons.items()}
        means = run.scores.means
        cells = [f"{means[name]:.4f}{stars.get(name, '')}" for name in report.measures]
        rows.append([run.name, *cells])
    return rows


def _legend(report: Report) -> str:
    """What the table's stars mean, and which queries its means are over."""
    star = "differs from the first run, Holm-corrected p < .05"
    if report.resting_on_absent:
        star += ", and not mostly by queries that a run lacks"
    if report.shared:
        star += f". Over the {report.shared.share} judged queries that all runs have"
    return f"{star}."


def _latex(rows: Sequence[Sequence[str]], legend: str) -> str:
    head, *body = [[cell.translate(_LATEX).replace("*", "$^{*}$") for cell in row] for row in rows]
    lines = [
        f"% Needs \\usepackage{{booktabs}}. *: {legend}",
        f"\\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}",
        "\\toprule",
        f"{' & '.join(head)} \\\\",
        "\\midrule",
        *(f"{' & '.join(row)} \\\\" for row in body),
        "\\bottomrule",
        "\\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def _markdown(rows: Sequence[Sequence[str]], legend: str) -> str:
    head, *body = [[cell.translate(_MARKDOWN) for cell in row] for row in rows]
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *body]
    table = "".join(f"| {' | '.join(row)} |\n" for row in lines)
    return f"{table}\n\\*: {legend}\n"
