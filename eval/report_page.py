"""The report as one HTML page that loads nothing: no network, no fonts, no other file."""

import base64
import hashlib
import json
import re
from functools import partial
from importlib import resources

from rankprompt.eval.figures import to_element
from rankprompt.eval.rank_movement import BANDS
from rankprompt.eval.reliability import BINS
from rankprompt.eval.report import Report, RunReport
from rankprompt.eval.report_plots import COSTS, plots_of
from rankprompt.version import VERSION

__all__ = ["format_page"]

# Further queries are listed only in queries.csv.
_LISTED_QUERIES = 200
# Control characters and lone surrogates, which no page may hold; line ends and tabs are allowed.
_NOT_ALLOWED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def format_page(report: Report) -> str:
    """Formats the report as HTML.

    Names of files, queries and documents are shown as text, whatever they contain. The page's
    Content-Security-Policy allows no script but the one that sorts tables, by its digest.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    plots = plots_of(report)
    script = _template("sort.js")
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
    title = f"{len(report.runs)} runs by {report.main_measure}" if report.others else None
    return (
        environment.get_template("report.html")
        .render(
            report=report,
            heading=title or report.main_measure,
            plots={
                name: Markup(to_element(plot.draw(), name, plot.title, plot.description))
                for name, plot in plots.items()
            },
            costs=[name for name in COSTS if f"cost-{name}" in plots],
            tests=sum(c.randomisation is not None for c in report.comparisons),
            main_tests=sum(
                c.randomisation is not None
                for c in report.comparisons
                if c.measure == report.main_measure
            ),
            listed=_listed_queries(report),
            diagnosed=[run for run in report.runs if run.cost.diagnostics],
            judge_of=_judge_of,
            bands=BANDS,
            reliability_bins=BINS,
            style=Markup(_template("report.css")),
            script=Markup(script),
            script_hash=f"sha256-{digest}",
            version=VERSION,
        )
        .lstrip()
    )


def _listed_queries(report: Report) -> list[str]:
    """The queries on which runs differ most from the baseline, those first."""
    differences = [report.differences(run) for run in report.others]
    queries = report.baseline_run.scores.by_query[report.main_measure]

    def largest(query: str) -> float:
        return max((abs(by_query[query]) for by_query in differences), default=0.0)

    return sorted(queries, key=largest, reverse=True)[:_LISTED_QUERIES]


def _judge_of(run: RunReport) -> str:
    """The model that judged a run, or that of each stage, and the errors of an oracle."""
    manifest = run.cost.manifest or {}
    model, config = manifest.get("model"), manifest.get("config")
    if not isinstance(model, dict):
        return "unknown"
    name = str(model.get("name") or model.get("judge") or "unknown")
    # Manifests of form 1 held their settings ungrouped.
    settings = config.get("oracle") if isinstance(config, dict) else manifest.get("settings")
    if not isinstance(settings, dict):
        settings = {}
    noise = settings.get("noise")
    errors = settings.get("judge_model") or (f"noise {noise}" if noise else "")
    return f"{name}, {errors}" if name == "oracle" and errors else name


def _plain(text: object) -> str:
    return _NOT_ALLOWED.sub("\ufffd", str(text))


def _template(name: str) -> str:
    return (resources.files("rankprompt.eval") / "templates" / name).read_text("utf-8")
