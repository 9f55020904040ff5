"""A training's learning curves as CSV, and as a plot where matplotlib is installed."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from rankprompt.cascade.report_files import csv_text
from rankprompt.eval.figures import COLOURS, GREY, STYLE, to_svg
from rankprompt.files import write_atomically

__all__ = ["write_curves"]


def write_curves(folder: Path, rows: Sequence[dict[str, float]]) -> None:
    """Writes ``curves.csv`` and ``curves.svg``.

    Args:
        folder: An existing folder.
        rows: A row for each validation, all with the keys ``step``, ``loss`` (NaN before the first
            step) and the measures.

    Raises:
        InputError: A file cannot be written.
    """
    write_atomically(folder / "curves.csv", csv_text(rows))
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
        for index, name in enumerate(key for key in rows[0] if key not in ("step", "loss")):
            right.plot(
                steps, [row[name] for row in rows], marker="o", ms=4, label=name,
                color=COLOURS[index % len(COLOURS)],
            )  # fmt: skip
        right.set_ylabel("validation (higher is better)")
        for axes in (left, right):
            axes.set_xlabel("steps")
        return to_svg(figure, [left, right])
