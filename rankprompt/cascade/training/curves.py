"""How a training went: a row a validation, as CSV, and a plot where matplotlib is installed."""

import csv
import io
import math
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from rankprompt.eval.figures import COLOURS, GREY, STYLE, to_svg
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

    with rc_context(STYLE):
        figure = Figure(figsize=(8, 3.4), layout="constrained")
        left, right = figure.subplots(1, 2)
        steps = [row["step"] for row in rows]
        left.plot(steps, [row["loss"] for row in rows], marker="o", ms=4, color=GREY)
        left.set_ylabel("loss (lower is better)")
        for place, name in enumerate(one for one in rows[0] if one not in ("step", "loss")):
            right.plot(
                steps, [row[name] for row in rows], marker="o", ms=4, label=name,
                color=COLOURS[place % len(COLOURS)],
            )  # fmt: skip
        right.set_ylabel("validation (higher is better)")
        for axes in (left, right):
            axes.set_xlabel("steps")
        return to_svg(figure, [left, right])
