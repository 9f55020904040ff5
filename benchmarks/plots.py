"""Small plots for the reports."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator

from rankprompt.eval.figures import COLOURS, GREY, MARKERS, STYLE, to_svg
from rankprompt.files import write_atomically


class Panel(NamedTuple):
    """One panel of lines: points (x, y) by the series' names."""

    title: str
    across: str
    lines: Mapping[str, Sequence[tuple[float, float]]]


def draw_lines(path: Path, panels: Sequence[Panel], *, log: bool) -> None:
    """Panels of lines side by side; a series has one colour throughout.

    Args:
        path: the SVG file.
        panels: left to right.
        log: y is logarithmic, each panel's own; else panels share it, from 0. x is logarithmic,
            its ticks at the points alone.
    """
    names = list(dict.fromkeys(name for panel in panels for name in panel.lines))
    with rc_context(STYLE):
        figure = Figure(figsize=(4.2 * len(panels), 3.4), layout="constrained")
        drawn = figure.subplots(1, len(panels), sharey=not log, squeeze=False)[0]
        for panel, axes in zip(panels, drawn, strict=True):
            for name, points in panel.lines.items():
                axes.plot(
                    *zip(*points, strict=True), label=name, color=_colours(names)[name], lw=1.8,
                    marker=MARKERS[names.index(name) % len(MARKERS)], ms=5,
                )  # fmt: skip
            ticks = sorted({x for points in panel.lines.values() for x, _ in points})
            axes.set_xscale("log")
            axes.set_xticks(ticks, [f"{x:g}" for x in ticks])
            axes.xaxis.set_minor_locator(NullLocator())
            if log:
                axes.set_yscale("log")
                axes.yaxis.set_major_formatter("{x:,g}")
                axes.yaxis.set_minor_formatter(NullFormatter())
            else:
                axes.set_ylim(bottom=0)
                axes.yaxis.set_major_formatter("{x:,.0f}")
            axes.set_title(panel.title)
            axes.set_xlabel(panel.across)
        _save(figure, drawn, path)


def draw_bars(
    path: Path, groups: Sequence[str], panels: Mapping[str, Mapping[str, list[float]]]
) -> None:
    """Horizontal bars in panels side by side, labelled with their values.

    Args:
        path: the SVG file.
        groups: what each place down the axis stands for, from the top.
        panels: titles to series, each with a value a group, in order.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(4.2 * len(panels), 0.5 + 0.75 * len(groups)), layout="constrained")
        drawn = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for (title, series), axes in zip(panels.items(), drawn, strict=True):
            height = 0.8 / len(series)
            for i, (name, values) in enumerate(series.items()):
                places = [place + (i + 0.5) * height - 0.4 for place in range(len(groups))]
                colour = _colours(list(series))[name]
                bars = axes.barh(places, values, height * 0.92, label=name, color=colour)
                axes.bar_label(bars, [f"{one:,.10g}" for one in values], padding=3, color=GREY)
            axes.set_yticks(range(len(groups)), groups)
            axes.tick_params(axis="y", length=0)
            axes.grid(visible=False)
            axes.set_xticks([])
            axes.spines["bottom"].set_visible(False)
            axes.set_title(title)
            axes.margins(x=0.2)
        drawn[0].invert_yaxis()
        _save(figure, drawn, path)


def _colours(names: Sequence[str]) -> dict[str, str]:
    """A colour a series; grey for what the others are measured against."""
    plain = [name for name in names if "naive" not in name]
    return dict.fromkeys(names, GREY) | dict(zip(plain, COLOURS, strict=False))


def _save(figure: Figure, drawn: Sequence[Any], path: Path) -> None:
    write_atomically(path, to_svg(figure, drawn))
