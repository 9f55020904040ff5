"""The report's plots, by matplotlib.

``rankprompt.eval.figures`` makes files and page elements of them.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec

from rankprompt.eval.figures import GAIN, INK, LOSS, MUTED, SERIES, STYLE
from rankprompt.eval.rank_movement import BANDS, Movement

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "draw_ceiling",
    "draw_costs",
    "draw_differences",
    "draw_intervals",
    "draw_movement",
    "pareto",
]

_MARKERS = "os^Dv"
# More bars than this are one shape: nobody could tell them apart, and the file stays small.
_BARS = 120
_STEPS = 400

_P = ParamSpec("_P")


def _styled(draw: "Callable[_P, Figure]") -> "Callable[_P, Figure]":
    """Draws in our style, which matplotlib asks for whenever something is added."""

    @wraps(draw)
    def styled(*args: _P.args, **options: _P.kwargs) -> "Figure":
        from matplotlib import rc_context

        with rc_context(STYLE):
            return draw(*args, **options)

    return styled


@_styled
def draw_intervals(
    rows: Sequence[tuple[str, float, float | None, float | None]], across: str
) -> "Figure":
    """Differences from the baseline with their intervals, a row a run, the first at the top.

    Args:
        rows: name, difference, and the interval's ends, None where there is none.
        across: what the axis shows.
    """
    figure, axes = _figure(5.2, 0.75 + 0.34 * len(rows))
    axes.axvline(0, color=MUTED, linewidth=1)
    for place, (_, mean, low, high) in enumerate(rows):
        colour = MUTED
        if low is not None and high is not None:
            colour = GAIN if low > 0 else LOSS if high < 0 else MUTED
            axes.plot([low, high], [place, place], color=colour, linewidth=2)
        axes.plot([mean], [place], "o", color=colour, markersize=6)
    axes.set_yticks(range(len(rows)), [_short(row[0]) for row in rows], color=INK)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(across)
    return figure


@_styled
def draw_costs(
    points: Mapping[str, tuple[float, float]], means: Mapping[str, float], across: str, up: str
) -> "Figure":
    """Quality against a cost, with the Pareto front: the runs that none beats at their price.

    Args:
        points: cost, above 0, and quality, by the names of runs whose cost is known.
        means: the qualities of all runs, the baseline first, which is drawn as a line; they give
            each run its colour, and the axis its ends, the same for every cost.
        across: what the cost is.
        up: what the quality is.
    """
    from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

    names, qualities = list(means), list(means.values())
    figure, axes = _figure(4.6, 2.9 + 0.1 * len(points))
    axes.set_xscale("log")
    axes.axhline(qualities[0], color=MUTED, linewidth=1, linestyle=(0, (4, 3)), label="baseline")
    front = pareto(points)
    if len(front) > 1:
        steps = [points[name] for name in front]
        axes.step(*zip(*steps, strict=True), where="post", color=MUTED, linewidth=1,
                  label="Pareto front")  # fmt: skip
    for name, (cost, quality) in points.items():
        place = names.index(name) - 1
        axes.plot(
            [cost], [quality], _MARKERS[place % len(_MARKERS)],
            color=SERIES[place % len(SERIES)], markersize=7, label=_short(name), linestyle="none",
        )  # fmt: skip
    costs = [cost for cost, _ in points.values()]
    axes.set_xlim(min(costs) / 3, max(costs) * 3)
    axes.xaxis.set_major_locator(FixedLocator(_ticks(min(costs) / 3, max(costs) * 3)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.10g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    low, high = min(qualities), max(qualities)
    margin = (high - low) * 0.12 or 0.05
    axes.set_ylim(low - margin, high + margin)
    axes.set_xlabel(f"{across} (log scale)")
    axes.set_ylabel(up)
    figure.legend(loc="outside lower left", ncols=2, fontsize=9, labelcolor=INK)
    return figure


def pareto(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """The names of the points that no other beats, cheapest first.

    Args:
        points: cost (lower is better) and quality (higher is better) by name. Of points with the
            same of both, the first counts.
    """
    front: list[str] = []
    for name in sorted(points, key=lambda name: (points[name][0], -points[name][1])):
        if not front or points[name][1] > points[front[-1]][1]:
            front.append(name)
    return front


@_styled
def draw_differences(values: Sequence[float], up: str, *, limit: float) -> "Figure":
    """A run's differences from the baseline, query by query, the largest gain first.

    Args:
        values: one a query, in any order.
        up: what they are.
        limit: of the axis, both ways, so that runs can be compared.
    """
    from matplotlib.ticker import MaxNLocator

    figure, axes = _figure(4.6, 2.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    order = sorted(values, reverse=True)
    if len(order) <= _BARS:
        colours = [GAIN if value > 0 else LOSS for value in order]
        axes.bar(range(1, len(order) + 1), order, width=0.8, color=colours)
    else:
        size = len(order)
        places = sorted({round(step * (size - 1) / _STEPS) for step in range(_STEPS + 1)})
        across, heights = [place + 1 for place in places], [order[place] for place in places]
        for colour, part in (
            (GAIN, [max(0.0, one) for one in heights]),
            (LOSS, [min(0.0, one) for one in heights]),
        ):
            axes.fill_between(across, part, color=colour, linewidth=0)
    axes.axhline(0, color=MUTED, linewidth=1)
    axes.set_xlim(0.4, len(order) + 0.6)
    axes.set_ylim(-limit, limit)
    axes.grid(visible=False, axis="x")
    axes.set_xlabel("queries, largest gain first")
    axes.set_ylabel(up)
    return figure


@_styled
def draw_movement(found: Movement) -> "Figure":
    """Relevant documents by their ranks before (rows) and after (columns), as counts.

    Left of the diagonal a document rose, right of it it fell; the more there are, the darker.
    """
    from matplotlib.patches import Rectangle

    figure, axes = _figure(4.6, 3.5)
    absent = len(BANDS) - 1
    # What neither run has found did not move, and would outshine all that did.
    seen = {
        (row, column): count
        for row, counts in enumerate(found.counts)
        for column, count in enumerate(counts)
        if (row, column) != (absent, absent)
    }
    most = max(seen.values()) or 1
    for (row, column), count in seen.items():
        colour = GAIN if column < row else LOSS if column > row else MUTED
        shade = 0.12 + 0.4 * (count / most) ** 0.5 if count else 0.03
        axes.add_patch(
            Rectangle((column + 0.03, row + 0.03), 0.94, 0.94, color=colour, alpha=shade,
                      linewidth=0)
        )  # fmt: skip
        if count:
            axes.text(column + 0.5, row + 0.5, _count(count), ha="center", va="center",
                      fontsize=8.5, color=INK)  # fmt: skip
    ticks = [place + 0.5 for place in range(len(BANDS))]
    labels = [name.replace("-", "\N{EN DASH}").replace("over ", ">") for name in BANDS]
    axes.set_xticks(ticks, labels, rotation=35, ha="right", rotation_mode="anchor", fontsize=8.5)
    axes.set_yticks(ticks, labels, fontsize=8.5)
    axes.set_xlim(0, len(BANDS))
    axes.set_ylim(len(BANDS), 0)
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("rank in this run")
    axes.set_ylabel("rank in the baseline")
    return figure


@_styled
def draw_ceiling(
    depths: Sequence[int], ceilings: Sequence[float], reached: Mapping[str, float], up: str
) -> "Figure":
    """The best that reranking the baseline to a depth can reach, and what the runs reach.

    Args:
        depths: rising.
        ceilings: of the measure, in the same order.
        reached: the measure's mean by run, the baseline among them.
        up: what the measure is.
    """
    figure, axes = _figure(5.2, 2.6 + 0.12 * len(reached))
    axes.plot(range(len(depths)), ceilings, "o-", color=INK, linewidth=1.5, markersize=5,
              label="ceiling")  # fmt: skip
    for place, ceiling in enumerate(ceilings):
        axes.annotate(f"{ceiling:.3f}", (place, ceiling), xytext=(0, 7), ha="center",
                      textcoords="offset points", fontsize=8.5)  # fmt: skip
    for place, (name, value) in enumerate(reached.items()):
        colour, dashes = (MUTED, (0, (4, 3))) if place == 0 else (SERIES[(place - 1) % 6], "solid")
        axes.axhline(value, color=colour, linewidth=1.2, linestyle=dashes, label=_short(name))
    axes.set_xticks(range(len(depths)), [f"{depth:,}" for depth in depths])
    axes.set_xlim(-0.4, len(depths) - 0.6)
    axes.margins(y=0.18)
    axes.grid(visible=False, axis="x")
    axes.set_xlabel("depth: how many of the baseline's documents are reranked")
    axes.set_ylabel(up)
    figure.legend(loc="outside lower left", ncols=3, fontsize=9, labelcolor=INK)
    return figure


def _figure(width: float, height: float) -> "tuple[Figure, Any]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers between two, spread evenly on a logarithmic axis, seldom more than five."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1, 2, 5), (1, 3), (1,)):
        ticks = [step * 10.0**decade for decade in decades for step in steps]
        if len(found := [tick for tick in ticks if low <= tick <= high]) <= 5:
            return found
    return found[:: -(-len(found) // 5)]


def _short(name: str) -> str:
    return name if len(name) <= 32 else f"{name[:15]}…{name[-16:]}"


def _count(number: int) -> str:
    return str(number) if number < 1000 else f"{number / 1000:.3g}k"
