"""Small plots: SVG with text as text, the same bytes from the same figures.

The ground is transparent and the text mid-grey, so they read on white and on black. matplotlib is
imported by whoever draws.
"""

import io
from collections.abc import Sequence
from typing import Any

__all__ = ["COLOURS", "GREY", "MARKERS", "STYLE", "to_svg"]

GREY = "#808080"
# Three to one or better against both white and black.
COLOURS = ("#3b82d6", "#d9730d", "#2f9e62", "#a865c9", "#c2456b", "#7f8c1f")
MARKERS = "os^DPX"
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "rankprompt",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    **dict.fromkeys(
        (
            "text.color", "axes.edgecolor", "axes.labelcolor", "axes.titlecolor", "xtick.color",
            "ytick.color", "grid.color",
        ),
        GREY,
    ),
}  # fmt: skip


def to_svg(figure: Any, drawn: Sequence[Any]) -> str:
    """The text of an SVG file, with one legend for all axes below them.

    Args:
        figure: of matplotlib.
        drawn: its axes.
    """
    marks = [mark for axes in drawn for mark in zip(*axes.get_legend_handles_labels(), strict=True)]
    once = {name: mark for mark, name in reversed(marks)}
    names = sorted(once, key=[name for _, name in marks].index)
    if names:
        figure.legend(
            [once[name] for name in names], names, loc="outside lower center", ncols=len(names)
        )
    text = io.StringIO()
    # No date and no version: the same figures must give the same file.
    figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"
