"""Rows of figures as CSV and as SVG plots; equal figures give equal bytes."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from rankprompt.cascade.measurement import ReportRow
from rankprompt.eval.figures import COLOURS, GREY, MARKERS, STYLE, to_svg

__all__ = ["csv_text", "draw_lines", "quality_plots"]

Lines: TypeAlias = Mapping[str, Sequence[tuple[float, float]]]
"""The points (x, y) of each line, by its label."""

ALL_WINDOWS = "all windows"


def csv_text(rows: Sequence[Mapping[str, object]]) -> str:
    """Returns rows with the same keys as CSV; a None or NaN becomes an empty field."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow(
            {
                key: value if not isinstance(value, float)
                else "" if value != value
                else f"{value:.10g}"
                for key, value in row.items()
            }
        )  # fmt: skip
    return text.getvalue()


def quality_plots(rows: Sequence[ReportRow]) -> dict[str, str]:
    """Returns SVG by file name: quality against k and, where it was measured, against latency."""
    by_keep: dict[str, list[tuple[float, float]]] = {}
    by_time: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        name, value = row["student"] if row["k"] else ALL_WINDOWS, row["ndcg@10"]
        if row["k"]:
            by_keep.setdefault(name, []).append((row["k"], value))
        if row["p95"] is not None:
            by_time.setdefault(name, []).append((row["p95"] / 1000, value))
    level = next(row["ndcg@10"] for row in rows if not row["k"])
    plots = {"quality-k.svg": ("k, windows a document", by_keep)}
    if by_time:
        plots["quality-latency.svg"] = ("p95, seconds a query", by_time)
    return {
        name: draw_lines([(label, lines)], "nDCG@10", level=level)
        for name, (label, lines) in plots.items()
        if lines
    }


def draw_lines(panels: Sequence[tuple[str, Lines]], y_label: str, *, level: float | None) -> str:
    """Returns the SVG of panels side by side that share the y axis; a label keeps its colour.

    Args:
        panels: The label of the x axis and the lines of each panel. Where all x values are whole
            numbers, the axis is logarithmic.
        y_label: The label of the y axis.
        level: The height of a grey line for all windows; None starts the y axis at 0 instead.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullLocator

    labels = dict.fromkeys(label for _, lines in panels for label in lines)
    labels.pop(ALL_WINDOWS, None)
    styles = {
        label: (COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)])
        for i, label in enumerate(labels)
    } | {ALL_WINDOWS: (GREY, "v")}
    with rc_context(STYLE):
        figure = Figure(figsize=(max(5.0, 4.2 * len(panels)), 3.4), layout="constrained")
        all_axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for (x_label, lines), axes in zip(panels, all_axes, strict=True):
            for label, points in lines.items():
                colour, marker = styles[label]
                axes.plot(*zip(*sorted(points), strict=True), label=label, color=colour,
                          lw=1.8, marker=marker, ms=5)  # fmt: skip
            if level is None:
                axes.set_ylim(bottom=0)
            else:
                axes.axhline(level, color=GREY, lw=1, ls="--", label=ALL_WINDOWS)
            axes.set_xlabel(x_label)
            ticks = sorted({x for points in lines.values() for x, _ in points})
            if all(float(x).is_integer() for x in ticks):
                axes.set_xscale("log")
                axes.set_xticks(ticks, [f"{x:,g}" for x in ticks])
                axes.xaxis.set_minor_locator(NullLocator())
            else:
                axes.set_xlim(left=0)
        all_axes[0].set_ylabel(y_label)
        return to_svg(figure, all_axes)
