"""Bar charts for the reports."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from rankprompt.eval.figures import COLOURS, GREY, STYLE, to_svg
from rankprompt.files import write_atomically


def draw_bars(
    path: Path, groups: Sequence[str], panels: Mapping[str, Mapping[str, list[float]]]
) -> None:
    """Draws horizontal bars in panels side by side, labelled with their values.

    Args:
        path: the SVG file.
        groups: labels of the vertical axis, from the top.
        panels: by title, the series by name, each with one value for each group, in order.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(4.2 * len(panels), 0.5 + 0.75 * len(groups)), layout="constrained")
        drawn = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for (title, series), axes in zip(panels.items(), drawn, strict=True):
            height = 0.8 / len(series)
            for i, (name, values) in enumerate(series.items()):
                offsets = [row + (i + 0.5) * height - 0.4 for row in range(len(groups))]
                colour = _colours(list(series))[name]
                bars = axes.barh(offsets, values, height * 0.92, label=name, color=colour)
                axes.bar_label(bars, [f"{one:,.10g}" for one in values], padding=3, color=GREY)
            axes.set_yticks(range(len(groups)), groups)
            axes.tick_params(axis="y", length=0)
            axes.grid(visible=False)
            axes.set_xticks([])
            axes.spines["bottom"].set_visible(False)
            axes.set_title(title)
            axes.margins(x=0.2)
        drawn[0].invert_yaxis()
        write_atomically(path, to_svg(figure, drawn))


def _colours(names: Sequence[str]) -> dict[str, str]:
    """Gives each series a colour; grey for the baseline."""
    plain = [name for name in names if "naive" not in name]
    return dict.fromkeys(names, GREY) | dict(zip(plain, COLOURS, strict=False))
