"""The plots of a report, each with the title and description that a screen reader announces."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from rankprompt.eval import plots
from rankprompt.eval.report import Report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["COSTS", "Plot", "plots_of"]

COSTS = ("comparisons", "prompts", "tokens", "seconds")
"""The attributes of a cost against which quality is plotted."""


class Plot(NamedTuple):
    """A plot that is not drawn yet.

    Attributes:
        title: what it is.
        description: what it shows.
        draw: makes the figure.
    """

    title: str
    description: str
    draw: "Callable[[], Figure]"


def plots_of(report: Report) -> dict[str, Plot]:
    """Gives the plots of a report by names that suit files."""
    measure, means = report.main_measure, report.means
    named: dict[str, Plot] = {}
    if report.others:
        comparisons = [run.comparisons[measure] for run in report.others]
        values = "; ".join(f"{c.run} {c.difference:+.4f}" for c in comparisons)
        named["intervals"] = Plot(
            f"Differences from the baseline by {measure}",
            f"{values}. A table follows.",
            partial(plots.draw_intervals, comparisons, f"difference in {measure}"),
        )
    for name in COSTS:
        costs = {run.name: getattr(run.cost, name) for run in report.runs}
        if points := {run: (cost, means[run]) for run, cost in costs.items() if cost}:
            named[f"cost-{name}"] = Plot(
                f"{measure} against {name}",
                f"None of the runs whose {name} are known beats these at their price: "
                f"{', '.join(plots.pareto(points))}. A table follows.",
                partial(plots.draw_costs, points, means, name, measure),
            )
    differences = [list(report.differences(run).values()) for run in report.others]
    largest = max((abs(gap) for gaps in differences for gap in gaps), default=0.0)
    for number, (run, gaps) in enumerate(zip(report.others, differences, strict=True), start=1):
        named[f"differences-{number}"] = Plot(
            f"{run.name}: differences from the baseline by query",
            f"{run.comparisons[measure].counts}; from {max(gaps):+.3f} to {min(gaps):+.3f}.",
            partial(
                plots.draw_differences, gaps, f"difference in {measure}",
                limit=largest * 1.05 or 1.0,
            ),
        )  # fmt: skip
    for number, run in enumerate(report.others, start=1):
        moved = run.movement
        assert moved is not None
        named[f"movement-{number}"] = Plot(
            f"{run.name}: ranks of relevant documents before and after",
            f"{moved.up} rose, {moved.same} kept their rank, {moved.down} fell. A table follows.",
            partial(plots.draw_movement, moved),
        )
    for place, run in report.probabilistic.items():
        found = run.reliability
        assert found is not None
        above = sum(one.mean > one.share for one in found.bins)
        named[f"reliability-{place}"] = Plot(
            f"{run.name}: share of relevant documents by probability",
            f"Expected calibration error {found.expected_calibration_error:.3f}, Brier score "
            f"{found.brier:.3f}; in {above} of {len(found.bins)} bins the mean probability exceeds "
            "the share of relevant documents. A table follows.",
            partial(plots.draw_reliability, found),
        )
    values = ", ".join(f"{row.ceiling:.3f} at {row.depth}" for row in report.ceiling)
    named["ceiling"] = Plot(
        f"The ceiling by depth, {measure}",
        f"{values}. A table follows.",
        partial(plots.draw_ceiling, report.ceiling, means, measure),
    )
    return named
