"""Drawing of the figures of reports and plans with matplotlib.

``rankprompt.eval.figures`` writes them as files and as elements of a page.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rankprompt.eval.ceiling import Ceiling
from rankprompt.eval.comparison import Comparison
from rankprompt.eval.figures import COLOURS, GAIN, GREY, INK, LOSS, MARKERS, drawing_style
from rankprompt.eval.rank_movement import BANDS, Movement
from rankprompt.eval.reliability import Reliability

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "draw_ceiling", "draw_costs", "draw_differences", "draw_intervals", "draw_movement",
    "draw_reliability", "pareto",
]  # fmt: skip

# More bars than this cannot be told apart: an area of some points replaces them in a small file.
_MAX_BARS = 120
_AREA_POINTS = 400
_DASHES = (0, (4, 3))


@drawing_style()
def draw_intervals(comparisons: Sequence[Comparison], label: str) -> "Figure":
    """Draws each run's difference from the baseline with its interval, the first run at the top.

    Args:
        comparisons: one of each run, by the same measure.
        label: of the x axis.
    """
    figure, axes = _figure(5.2, 0.75 + 0.34 * len(comparisons))
    axes.axvline(0, color=GREY, linewidth=1)
    for row, comparison in enumerate(comparisons):
        colour = GREY
        if interval := comparison.interval:
            colour = GAIN if interval.low > 0 else LOSS if interval.high < 0 else GREY
            colour = GREY if comparison.rests_on_absent else colour
            axes.plot([interval.low, interval.high], [row, row], color=colour, linewidth=2)
        axes.plot([comparison.difference], [row], "o", color=colour, markersize=6)
    names = [_short(comparison.run) for comparison in comparisons]
    axes.set_yticks(range(len(names)), names, color=INK)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.set(ylim=(len(names) - 0.5, -0.5), xlabel=label)
    return figure


@drawing_style()
def draw_costs(
    points: Mapping[str, tuple[float, float]], means: Mapping[str, float], across: str, up: str
) -> "Figure":
    """Draws quality against cost, with the Pareto front.

    Args:
        points: cost, above 0, and quality by the names of the runs whose cost is known.
        means: quality of all runs, the baseline first, which is drawn as a line. They set each
            run's colour and the limits of the y axis, so that both are alike for every cost.
        across: label of the x axis.
        up: label of the y axis.
    """
    from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

    names, qualities = list(means), list(means.values())
    figure, axes = _figure(4.6, 2.9 + 0.1 * len(points))
    axes.set_xscale("log")
    axes.axhline(qualities[0], color=GREY, linewidth=1, linestyle=_DASHES, label="baseline")
    front = [points[name] for name in pareto(points)]
    if len(front) > 1:
        axes.step(*zip(*front, strict=True), where="post", color=GREY, linewidth=1,
                  label="Pareto front")  # fmt: skip
    for name, (cost, quality) in points.items():
        series = names.index(name) - 1
        axes.plot(
            [cost], [quality], MARKERS[series % len(MARKERS)],
            color=COLOURS[series % len(COLOURS)], markersize=7, label=_short(name),
            linestyle="none",
        )  # fmt: skip
    costs = [cost for cost, _ in points.values()]
    left, right = min(costs) / 3, max(costs) * 3
    low, high = min(qualities), max(qualities)
    margin = (high - low) * 0.12 or 0.05
    axes.set(xlim=(left, right), ylim=(low - margin, high + margin))
    axes.set(xlabel=f"{across} (log scale)", ylabel=up)
    axes.xaxis.set_major_locator(FixedLocator(_log_ticks(left, right)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.10g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    figure.legend(loc="outside lower left", ncols=2, fontsize=9, labelcolor=INK)
    return figure


def pareto(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """Finds the Pareto front: the points that no cheaper or equally cheap point beats.

    Args:
        points: cost (lower is better) and quality (higher is better) by name.

    Returns:
        Names, the cheapest first; of points that coincide only the first.
    """
    front: list[str] = []
    for name in sorted(points, key=lambda name: (points[name][0], -points[name][1])):
        if not front or points[name][1] > points[front[-1]][1]:
            front.append(name)
    return front


@drawing_style()
def draw_differences(differences: Sequence[float], label: str, *, limit: float) -> "Figure":
    """Draws a run's differences from the baseline by query, the largest gain first.

    Args:
        differences: one of each query, in any order.
        label: of the y axis.
        limit: of the y axis in both directions; the same for all runs that are to be compared.
    """
    from matplotlib.ticker import MaxNLocator

    figure, axes = _figure(4.6, 2.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    heights = sorted(differences, reverse=True)
    size = len(heights)
    if size <= _MAX_BARS:
        colours = [GAIN if height > 0 else LOSS for height in heights]
        axes.bar(range(1, size + 1), heights, width=0.8, color=colours)
    else:
        ranks = sorted({round(n * (size - 1) / _AREA_POINTS) for n in range(_AREA_POINTS + 1)})
        gains = [max(0.0, heights[rank]) for rank in ranks]
        losses = [min(0.0, heights[rank]) for rank in ranks]
        for colour, area in ((GAIN, gains), (LOSS, losses)):
            axes.fill_between([rank + 1 for rank in ranks], area, color=colour, linewidth=0)
    axes.axhline(0, color=GREY, linewidth=1)
    axes.grid(visible=False, axis="x")
    axes.set(xlim=(0.4, size + 0.6), ylim=(-limit, limit))
    axes.set(xlabel="queries, largest gain first", ylabel=label)
    return figure


@drawing_style()
def draw_movement(movement: Movement) -> "Figure":
    """Draws the numbers of relevant documents by rank before (rows) and after (columns).

    Documents left of the diagonal rose, those right of it fell; a darker cell holds more.
    """
    from matplotlib.patches import Rectangle

    figure, axes = _figure(4.6, 3.5)
    absent = len(BANDS) - 1
    # Documents in neither run did not move, and would outnumber all that did.
    cells = {
        (row, column): count
        for row, counts in enumerate(movement.counts)
        for column, count in enumerate(counts)
        if (row, column) != (absent, absent)
    }
    most = max(cells.values()) or 1
    for (row, column), count in cells.items():
        colour = GAIN if column < row else LOSS if column > row else GREY
        shade = 0.12 + 0.4 * (count / most) ** 0.5 if count else 0.03
        axes.add_patch(
            Rectangle((column + 0.03, row + 0.03), 0.94, 0.94, color=colour, alpha=shade,
                      linewidth=0)
        )  # fmt: skip
        if count:
            text = str(count) if count < 1000 else f"{count / 1000:.3g}k"
            axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=8.5,
                      color=INK)  # fmt: skip
    ticks = [band + 0.5 for band in range(len(BANDS))]
    labels = [name.replace("-", "\N{EN DASH}").replace("over ", ">") for name in BANDS]
    axes.set_xticks(ticks, labels, rotation=35, ha="right", rotation_mode="anchor", fontsize=8.5)
    axes.set_yticks(ticks, labels, fontsize=8.5)
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set(xlim=(0, len(BANDS)), ylim=(len(BANDS), 0))
    axes.set(xlabel="rank in this run", ylabel="rank in the baseline")
    return figure


@drawing_style()
def draw_ceiling(ceilings: Sequence[Ceiling], means: Mapping[str, float], label: str) -> "Figure":
    """Draws the ceiling of the baseline by depth, and the quality of the runs as lines.

    Args:
        ceilings: by rising depth.
        means: quality of all runs, the baseline first.
        label: of the y axis.
    """
    figure, axes = _figure(5.2, 2.6 + 0.12 * len(means))
    values = [row.ceiling for row in ceilings]
    axes.plot(range(len(values)), values, "o-", color=INK, linewidth=1.5, markersize=5,
              label="ceiling")  # fmt: skip
    for position, value in enumerate(values):
        axes.annotate(f"{value:.3f}", (position, value), xytext=(0, 7), ha="center",
                      textcoords="offset points", fontsize=8.5)  # fmt: skip
    for series, (name, mean) in enumerate(means.items(), start=-1):
        colour, dashes = (GREY, _DASHES) if series < 0 else (COLOURS[series % 6], "solid")
        axes.axhline(mean, color=colour, linewidth=1.2, linestyle=dashes, label=_short(name))
    axes.set_xticks(range(len(values)), [f"{row.depth:,}" for row in ceilings])
    axes.margins(y=0.18)
    axes.grid(visible=False, axis="x")
    axes.set(xlim=(-0.4, len(values) - 0.6), ylabel=label)
    axes.set_xlabel("depth: how many of the baseline's documents are reranked")
    figure.legend(loc="outside lower left", ncols=3, fontsize=9, labelcolor=INK)
    return figure


@drawing_style()
def draw_reliability(found: Reliability) -> "Figure":
    """Draws a reliability diagram: the share of relevant documents by the mean probability of bins.

    On the dashed diagonal probabilities agree with judgements; below it they are too high. The
    lower panel has the number of documents of each bin.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6, 4.6), layout="constrained")
    axes, counts = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    means = [one.mean for one in found.bins]
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=_DASHES)
    axes.plot(means, [one.share for one in found.bins], "o-", color=COLOURS[0], linewidth=1.5,
              markersize=5)  # fmt: skip
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), ylabel="share of relevant documents")
    counts.vlines(means, 0, [one.documents for one in found.bins], color=COLOURS[0], linewidth=3)
    counts.locator_params(axis="y", nbins=3, integer=True)
    counts.set_ylim(bottom=0)
    counts.set(xlabel="mean probability of the bin", ylabel="documents")
    return figure


def _figure(width: float, height: float) -> "tuple[Figure, Axes]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def _log_ticks(low: float, high: float) -> list[float]:
    """Round numbers from low to high, evenly spread on a logarithmic axis, at most about five."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1, 2, 5), (1, 3), (1,)):
        ticks = [step * 10.0**decade for decade in decades for step in steps]
        if len(inside := [tick for tick in ticks if low <= tick <= high]) <= 5:
            return inside
    return inside[:: -(-len(inside) // 5)]


def _short(name: str) -> str:
    return name if len(name) <= 32 else f"{name[:15]}…{name[-16:]}"
