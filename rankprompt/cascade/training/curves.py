"""How a training went: a row a validation, as CSV, and a plot where matplotlib is installed."""

import csv
import io
import math
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rankprompt.files import write_atomically

__all__ = ["write_curves"]


def write_curves(folder: Path, rows: Sequence[dict[str, float]]) -> None:
    """Writes ``curves.csv`` and ``curves.svg`` into a folder that is there.

    Args:
        folder: where.
        rows: of the same keys: ``step``, ``loss`` (NaN before the first step) and measures.

    Raises:
        InputError: they cannot be written.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {k: "" if math.isnan(v) else f"{v:.10g}" for k, v in row.items()} for row in rows
    )
    write_atomically(folder / "curves.csv", text.getvalue())
    if find_spec("matplotlib"):
        write_atomically(folder / "curves.svg", _draw(rows))


def _draw(rows: Sequence[dict[str, float]]) -> str:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    grey = "#808080"  # reads on white and on black
    names: Any = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")
    style: Any = {**dict.fromkeys(names, grey), "svg.hashsalt": "rankprompt"}
    with rc_context(style):
        figure = Figure(figsize=(8, 3.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        steps = [row["step"] for row in rows]
        left.plot(steps, [row["loss"] for row in rows], marker="o", ms=4)
        left.set_ylabel("loss (lower is better)")
        for name in rows[0]:
            if name not in ("step", "loss"):
                right.plot(steps, [row[name] for row in rows], marker="o", ms=4, label=name)
        right.set_ylabel("validation (higher is better)")
        right.legend(frameon=False)
        for axes in (left, right):
            axes.set_xlabel("steps")
            axes.spines[["top", "right"]].set_visible(False)
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None})
    return drawn.getvalue()
