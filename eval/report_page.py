"""The report as one page that needs nothing else: no network, no fonts, no other file."""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from importlib import resources
from typing import TYPE_CHECKING, Any

from rankprompt.eval import plots
from rankprompt.eval.figures import to_element
from rankprompt.eval.rank_movement import BANDS
from rankprompt.eval.report import Report, RunReport

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Plot", "format_page", "plots_of"]

# More queries are listed in the files beside, not in the page.
_LISTED = 200
# Control characters and halves of pairs, which no page may hold; line ends and tabs may stay.
_UNFIT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_COSTS = ("comparisons", "prompts", "tokens", "seconds")


class Plot:
    """A plot with what a reader who cannot see it is told.

    Args:
        title: what it is.
        description: what it shows.
        draw: makes the figure, when asked for.
    """

    def __init__(self, title: str, description: str, draw: "Callable[[], Figure]") -> None:
        self.title, self.description, self.draw = title, description, draw


def format_page(report: Report) -> str:
    """Gives the page's HTML.

    Whatever a file, a query or a document is called shows as text. No script runs but the one that
    sorts tables: the page's policy names its digest.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    from rankprompt.version import VERSION

    drawn = plots_of(report)
    script = _read("sort.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment = Environment(
        loader=PackageLoader("rankprompt.eval"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=False,
        keep_trailing_newline=True,
    )
    environment.filters["plain"] = _plain
    environment.filters["tojson_plain"] = partial(json.dumps, indent=2, ensure_ascii=False)
    return (
        environment.get_template("report.html")
        .render(
            report=report,
            heading=f"{len(report.runs)} runs by {report.main}" if report.others else report.main,
            sections=_sections(report),
            plots={
                name: Markup(to_element(plot.draw(), name, plot.title, plot.description))
                for name, plot in drawn.items()
            },
            costs=[axis for axis in _COSTS if f"cost-{axis}" in drawn],
            tests=sum(one.randomisation is not None for one in report.comparisons),
            listed=_listed(report),
            diagnosed=[run for run in report.runs if run.cost.diagnostics],
            judge_of=_judge,
            number=_number,
            bands=BANDS,
            style=Markup(_read("report.css")),
            script=Markup(script),
            script_hash=f"sha256-{digest}",
            version=VERSION,
        )
        .lstrip()
    )


def plots_of(report: Report) -> dict[str, Plot]:
    """The plots of a report, by names that suit files; none is drawn yet."""
    found: dict[str, Plot] = {}
    if report.others:
        found["intervals"] = _intervals(report)
    for axis in _COSTS:
        if points := _points(report, axis):
            found[f"cost-{axis}"] = _cost(report, axis, points)
    gaps = [_gaps(report, run) for run in report.others]
    limit = max((abs(gap) for values in gaps for gap in values), default=0.0) * 1.05 or 1.0
    for place, (run, values) in enumerate(zip(report.others, gaps, strict=True), start=1):
        one = run.comparisons[report.main]
        found[f"differences-{place}"] = Plot(
            f"{run.name}: differences from the baseline by query",
            f"{one.counts}; from {max(values):+.3f} to {min(values):+.3f}.",
            partial(plots.draw_differences, values, f"difference in {report.main}", limit=limit),
        )
    for place, run in enumerate(report.others, start=1):
        moved = run.movement
        assert moved is not None
        found[f"movement-{place}"] = Plot(
            f"{run.name}: ranks of relevant documents before and after",
            f"{moved.up} rose, {moved.same} kept their rank, {moved.down} fell. A table follows.",
            partial(plots.draw_movement, moved),
        )
    found["ceiling"] = _ceiling(report)
    return found


def _intervals(report: Report) -> Plot:
    rows = []
    for run in report.others:
        one = run.comparisons[report.main]
        low, high = (one.interval.low, one.interval.high) if one.interval else (None, None)
        rows.append((run.name, one.difference, low, high))
    said = "; ".join(f"{name} {difference:+.4f}" for name, difference, *_ in rows)
    return Plot(
        f"Differences from the baseline by {report.main}",
        f"{said}. A table follows.",
        partial(plots.draw_intervals, rows, f"difference in {report.main}"),
    )


def _points(report: Report, axis: str) -> dict[str, tuple[float, float]]:
    costs = {run.name: getattr(run.cost, axis) for run in report.runs}
    means = _means(report)
    return {name: (cost, means[name]) for name, cost in costs.items() if cost}


def _cost(report: Report, axis: str, points: Mapping[str, tuple[float, float]]) -> Plot:
    front = ", ".join(plots.pareto(points))
    return Plot(
        f"{report.main} against {axis}",
        f"None of the runs whose {axis} are known beats these at their price: {front}. "
        "A table follows.",
        partial(plots.draw_costs, points, _means(report), axis, report.main),
    )


def _ceiling(report: Report) -> Plot:
    depths = [one["depth"] for one in report.ceiling]
    values = [one["ceiling"] for one in report.ceiling]
    said = ", ".join(f"{value:.3f} at {depth}" for depth, value in zip(depths, values, strict=True))
    return Plot(
        f"The ceiling by depth, {report.main}",
        f"{said}. A table follows.",
        partial(plots.draw_ceiling, depths, values, _means(report), report.main),
    )


def _means(report: Report) -> dict[str, float]:
    return {run.name: run.scores.means[report.main] for run in report.runs}


def _gaps(report: Report, run: RunReport) -> list[float]:
    before = report.first.scores.by_query[report.main]
    after = run.scores.by_query[report.main]
    return [after[query] - before[query] for query in before]


def _listed(report: Report) -> list[str]:
    before = report.first.scores.by_query[report.main]
    others = [run.scores.by_query[report.main] for run in report.others]

    def furthest(query: str) -> float:
        return max((abs(after[query] - before[query]) for after in others), default=0.0)

    return sorted(before, key=furthest, reverse=True)[:_LISTED]


def _sections(report: Report) -> list[tuple[str, str]]:
    compared = [("queries", "Query by query"), ("movement", "Relevant documents")]
    return [
        ("short", "In short"),
        ("scores", "Scores"),
        ("cost", "Quality and cost"),
        *(compared if report.others else []),
        ("ceiling", "Ceiling"),
        ("judge", "The judge"),
        ("made", "How the runs were made"),
    ]


def _judge(run: RunReport) -> str:
    manifest = run.cost.manifest or {}
    model, settings = manifest.get("model"), manifest.get("settings")
    if not isinstance(model, dict) or not isinstance(settings, dict):
        return "unknown"
    name = str(model.get("name") or model.get("judge") or "unknown")
    noise = settings.get("noise")
    errors = settings.get("judge_model") or (f"noise {noise}" if noise else "")
    return f"{name}, {errors}" if name == "oracle" and errors else name


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,}"


def _plain(text: Any) -> str:
    return _UNFIT.sub("\ufffd", str(text))


def _read(name: str) -> str:
    return (resources.files("rankprompt.eval") / "templates" / name).read_text("utf-8")
