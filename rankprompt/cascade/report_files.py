"""A cascade's measured rows as CSV and as plots; the same bytes from the same figures."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from rankprompt.eval.figures import COLOURS, GREY, MARKERS, STYLE, to_svg

__all__ = ["draw_lines", "quality_plots", "to_csv"]

Lines: TypeAlias = Mapping[str, Sequence[tuple[float, float]]]

ALL_WINDOWS = "all windows"


def to_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows of ``measuring.rows``, a line each; empty where nothing was measured."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {key: f"{value:.10g}" if isinstance(value, float) else value for key, value in row.items()}
        for row in rows
    )
    return text.getvalue()


def quality_plots(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """SVG texts by file name: quality against k and, where it was measured, against latency.

    Args:
        rows: of ``measuring.rows``.
    """
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
        name: draw_lines([(across, lines)], "nDCG@10", level=level)
        for name, (across, lines) in plots.items()
        if lines
    }


def draw_lines(panels: Sequence[tuple[str, Lines]], up: str, *, level: float | None) -> str:
    """The SVG text of panels side by side with one axis upwards; a series has one colour.

    Args:
        panels: the axis across and its lines; whole numbers are drawn on a logarithmic axis.
        up: the axis upwards.
        level: of a grey line that stands for all windows; None begins the axis upwards at 0.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullLocator

    names = [one for one in dict.fromkeys(n for _, lines in panels for n in lines)
             if one != ALL_WINDOWS]  # fmt: skip
    look = {name: (COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)])
            for i, name in enumerate(names)} | {ALL_WINDOWS: (GREY, "v")}  # fmt: skip
    with rc_context(STYLE):
        figure = Figure(figsize=(max(5.0, 4.2 * len(panels)), 3.4), layout="constrained")
        drawn = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for (across, lines), axes in zip(panels, drawn, strict=True):
            for name, points in lines.items():
                colour, marker = look[name]
                axes.plot(*zip(*sorted(points), strict=True), label=name, color=colour,
                          lw=1.8, marker=marker, ms=5)  # fmt: skip
            if level is None:
                axes.set_ylim(bottom=0)
            else:
                axes.axhline(level, color=GREY, lw=1, ls="--", label=ALL_WINDOWS)
            axes.set_xlabel(across)
            ticks = sorted({x for points in lines.values() for x, _ in points})
            if all(float(x).is_integer() for x in ticks):
                axes.set_xscale("log")
                axes.set_xticks(ticks, [f"{x:,g}" for x in ticks])
                axes.xaxis.set_minor_locator(NullLocator())
            else:
                axes.set_xlim(left=0)
        drawn[0].set_ylabel(up)
        return to_svg(figure, drawn)
