"""``rankprompt plan``: what every method costs and withstands, before a token is spent."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from rankprompt.cli.console import print_json, print_table, progress_bar, show_imports, tell
from rankprompt.cli.options_from_config import takes_rerank_config
from rankprompt.cli.plan_notes import plan_notes
from rankprompt.errors import InputError
from rankprompt.files import check_writable, write_atomically
from rankprompt.pipeline.config import RerankConfig
from rankprompt.planning.config import Plan, PlanConfig

__all__ = ["plan", "show_plan"]

# Nothing is written, no budget is spent, and errors are simulated.
_WITHOUT = (
    "output", "journal", "scores", "threshold", "calibration", "decide", "prior", "noise",
    "judge_model", "max_prompts", "max_tokens", "max_cost", "ray", "workers", "gpus_per_worker",
    "together", "teacher", "aggregate",
)  # fmt: skip


@takes_rerank_config(without=_WITHOUT)
def plan(
    config: RerankConfig,
    qrels: Path | None = typer.Option(
        None,
        help="Grades that the simulated judge reads, in TREC format. Default: synthetic grades, "
        "few relevant documents and most of these ranked high.",
        show_default=False,
        rich_help_panel="Simulated judge",
    ),
    simulate: bool = typer.Option(
        False,
        "--simulate",
        help="Show quality against cost before a judge that errs as --judge-model says; needs "
        "--qrels. Default: off.",
        show_default=False,
        rich_help_panel="Simulated judge",
    ),
    judge_model: str | None = typer.Option(
        None,
        help="With --simulate: how the judge errs, as rerank --help says, or fitted:JOURNAL for a "
        "judge that errs as this model did in the journal of a run. Default: gap.",
        show_default=False,
        rich_help_panel="Simulated judge",
    ),
    seeds: int = typer.Option(
        3,
        help="Simulations whose mean is taken. Default: 3.",
        show_default=False,
        rich_help_panel="Simulated judge",
    ),
    plot: Path | None = typer.Option(
        None,
        help="With --simulate: draw nDCG@10 against prompts, to a .svg or .png file. Default: no "
        "plot.",
        show_default=False,
        rich_help_panel="Output",
    ),
    no_calibrate: bool = typer.Option(
        False,
        "--no-calibrate",
        help="Ask the model nothing; this leaves out the time. Default: off.",
        show_default=False,
    ),
    as_json: bool = typer.Option(
        False,
        "--json",
        help="Print JSON. Default: off.",
        show_default=False,
        rich_help_panel="Output",
    ),
    quiet: bool = typer.Option(
        False,
        "--quiet",
        help="Show no progress bar and no notes. Default: off.",
        show_default=False,
        rich_help_panel="Output",
    ),
) -> None:
    """Price every method side by side, or the stages of --stage, before a token is spent.

    Comparisons and rounds are counted: the real algorithms rank the real candidates before a
    simulated judge. Prompts are those that the journal will not answer; tokens are the real
    tokenizer's, over whole prompts. The time is an estimate from a few seconds of real prompts.
    nDCG@10 is what a judge without error gives, and what is lost of it when the judge errs.
    """
    for name, value in (("judge_model", judge_model), ("plot", plot)):
        if value is not None and not simulate:
            raise InputError(f"`{name}` goes with `simulate`")
    if plot is not None and config.stage:
        raise InputError("`plot` compares methods; leave out `stage`")
    if plot is not None:
        if plot.suffix.lower() not in (".svg", ".png"):
            raise InputError(f"`plot` {plot}: draws to a file that ends with .svg or .png")
        check_writable(plot)
    show_plan(
        PlanConfig(
            config,
            qrels=qrels,
            seeds=seeds,
            calibrate=not no_calibrate,
            judge_model=(judge_model or "gap") if simulate else None,
        ),
        plot=plot,
        as_json=as_json,
        quiet=quiet,
    )


def show_plan(
    config: PlanConfig, *, plot: Path | None = None, as_json: bool = False, quiet: bool = False
) -> None:
    """Plans a reranking and prints the plan; see ``plan_rerank``."""
    from rankprompt.eval import ndcg_at_10
    from rankprompt.planning.plan import plan_rerank

    silent = quiet or as_json
    with show_imports(quiet=silent):
        made = plan_rerank(
            config,
            lambda run, qrels: ndcg_at_10(qrels)(run),
            lambda what, total: progress_bar(what, total, quiet=silent),
        )
    if plot is not None:
        _draw(made, plot)
    if as_json:
        print_json(made.as_dict())
        return
    (_print_simulation if config.judge_model else _print)(made)
    if not quiet:
        for note in plan_notes(made):
            tell(note)


def _print(made: Plan) -> None:
    rows = made.methods
    whole = rows[-1] if made.staged else rows[0]  # an oracle's stage has no tokens
    shown = [
        ("comparisons", "questions" if made.staged else "comparisons", "{:,}".format),
        ("prompts", "prompts", "{:,}".format),
        ("rounds", "rounds", "{:,}".format),
        ("tokens", "tokens", "{:,}".format),
        ("seconds", "time", _duration),
        ("waits", "waits up to", _days),
        ("cost", "cost", "{:,.4f}".format),
    ]
    shown = [column for column in shown if getattr(whole, column[0]) is not None]
    noisy = [noise for noise in rows[0].quality if float(noise)]
    print_table(
        (
            "stage" if made.staged else "method",
            *(title for _, title, _ in shown),
            "simulated nDCG@10" if made.grades == "synthetic" else "nDCG@10",
            *(f"{float(noise):.0%} wrong" for noise in noisy),
        ),
        [
            (
                row.method,
                *(_known(getattr(row, name), form) for name, _, form in shown),
                f"{row.quality['0.0']:.3f}",
                *(f"{row.quality[noise] - row.quality['0.0']:+.3f}" for noise in noisy),
            )
            for row in rows
        ],
    )


def _known(value: float | None, form: Callable[[Any], str]) -> str:
    return "" if value is None else form(value)


def _print_simulation(made: Plan) -> None:
    rows = made.methods
    if not made.staged:
        rows = sorted(rows, key=lambda row: (row.prompts, row.rounds))
    print_table(
        (
            "stage" if made.staged else "method",
            "prompts a query",
            "rounds",
            "nDCG@10",
            "±",
            "of a perfect judge",
        ),
        [
            (
                row.method,
                f"{row.prompts / made.queries:,.0f}",
                f"{row.rounds:,}",
                f"{row.quality['simulated']:.3f}",
                f"{row.deviation['simulated']:.3f}",
                f"{row.quality['0.0']:.3f}",
            )
            for row in rows
        ],
    )


def _draw(made: Plan, path: Path) -> None:
    from rankprompt.eval.figures import to_png, to_svg
    from rankprompt.eval.plots import draw_costs

    points = {
        row.method: (row.prompts / made.queries, row.quality["simulated"])
        for row in made.methods
        if row.prompts
    }
    means = {"first stage": made.first_stage}
    means |= {name: quality for name, (_, quality) in points.items()}
    figure = draw_costs(points, means, "prompts a query", "nDCG@10, simulated judge")
    drawn = to_png(figure) if path.suffix.lower() == ".png" else to_svg(figure)
    write_atomically(path, drawn)


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:,.1f} min" if seconds < 6000 else f"{seconds / 3600:,.1f} h"


def _days(waits: int) -> str:
    """The longest wait for batches of a day each, one after another."""
    return f"{waits:,} days" if waits != 1 else "1 day"
