"""``rankprompt plan``: what every method costs and withstands, before a token is spent."""

import dataclasses
import os
from pathlib import Path
from typing import Any

import typer

from rankprompt.cli import options
from rankprompt.cli.console import print_json, print_table, progress_bar, show_imports, tell
from rankprompt.errors import InputError
from rankprompt.files import check_writable, write_atomically
from rankprompt.pipeline.config import Job

__all__ = ["plan", "show_plan"]


def plan(
    run: Path | None = typer.Option(None, help="As in rerank: the first stage's run."),
    queries: Path | None = typer.Option(None, help="As in rerank."),
    docs: Path | None = typer.Option(None, help="As in rerank."),
    dataset: str | None = typer.Option(None, help="As in rerank: a collection by name."),
    split: options.Split = None,
    fields: str = typer.Option(Job.fields, help="As in rerank: what makes a passage."),
    qrels: Path | None = typer.Option(
        None,
        help="Grades that the simulated judge reads, in TREC form. Left out: invented ones, few "
        "relevant and most of these high up in the run.",
    ),
    model: str = typer.Option(
        Job.model,
        help="As in rerank; its tokenizer counts the tokens. oracle:QRELS.trec plans without.",
    ),
    prompt: str | None = typer.Option(None, help="As in rerank."),
    mode: str = typer.Option(Job.mode, help="As in rerank: scoring or generation."),
    order: str = typer.Option(Job.order, help="Ask each pair in both orders, or in a single one."),
    simulate: bool = typer.Option(
        False,
        "--simulate",
        help="Show quality against cost before a judge that errs as --judge-model says; needs "
        "--qrels.",
    ),
    judge_model: str | None = typer.Option(
        None,
        help="With --simulate: as in rerank, or fitted:JOURNAL for a judge that errs as this model "
        "did in the journal of a run. Left out: gap.",
    ),
    plot: Path | None = typer.Option(
        None, help="With --simulate: draw nDCG@10 against prompts, to a .svg or .png file."
    ),
    method: str | None = typer.Option(
        None, help="Plan these stages beside the others, as in heapsort,allpair@20."
    ),
    depth: options.Depth = Job.depth,
    k: int = typer.Option(Job.k, help="Rank the top k (heapsort, quickselect)."),
    passes: options.Passes = None,
    early_exit: bool = typer.Option(
        False, "--early-exit", help="Stop sliding after a pass without a swap."
    ),
    comparisons: options.Comparisons = None,
    set_size: options.SetSize = None,
    step: options.Step = None,
    tournaments: options.Tournaments = None,
    cascade: options.Cascade = None,
    keep: options.Keep = Job.keep,
    window: options.Window = Job.window,
    overlap: options.Overlap = Job.overlap,
    window_unit: options.WindowUnit = Job.window_unit,
    passage_tokens: options.PassageTokens = None,
    input_order: options.InputOrder = Job.input_order,
    limit: int | None = typer.Option(None, help="Plan for the first N queries of the run only."),
    price_in: options.PriceIn = Job.price_in,
    price_out: options.PriceOut = Job.price_out,
    no_calibrate: bool = typer.Option(
        False, "--no-calibrate", help="Ask the model nothing; leaves out the time."
    ),
    seed: options.Seed = Job.seed,
    seeds: int = typer.Option(3, help="Simulations whose mean is taken."),
    skip_missing: options.SkipMissing = False,
    dtype: options.Dtype = Job.dtype,
    device: options.Device = Job.device,
    batch_tokens: options.BatchTokens = None,
    threads: options.Threads = None,
    trust_remote_code: options.TrustRemoteCode = False,
    base_url: str | None = typer.Option(None, help="As in rerank, with --model openai:MODEL."),
    concurrency: options.Concurrency = Job.concurrency,
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
    quiet: bool = typer.Option(False, "--quiet", help="No progress bar and no notes."),
) -> None:
    """Price every method side by side, before a token is spent.

    Comparisons and rounds are counted: the real algorithms rank the real candidates before a
    simulated judge. Prompts are those that the journal will not answer; tokens are the real
    tokenizer's, over whole prompts. The time is an estimate from a few seconds of real prompts.
    nDCG@10 is what a judge without error gives, and what is lost of it when the judge errs.
    """
    for name, value in (("judge-model", judge_model), ("plot", plot)):
        if value is not None and not simulate:
            raise InputError(f"--{name} goes with --simulate")
    if plot is not None and plot.suffix.lower() not in (".svg", ".png"):
        raise InputError(f"--plot {plot}: draws to a file that ends with .svg or .png")
    if plot is not None:
        check_writable(plot)
    # The judge model is the plan's, not the job's; and devnull is where a plan writes.
    given = {**locals(), "output": Path(os.devnull), "judge_model": None}
    named = [field.name for field in dataclasses.fields(Job) if field.name in given]
    job = Job(**{name: given[name] for name in named})
    show_plan(
        job,
        qrels=qrels,
        seeds=seeds,
        calibration=not no_calibrate,
        simulate=(judge_model or "gap") if simulate else None,
        plot=plot,
        as_json=as_json,
        quiet=quiet,
    )


def show_plan(
    job: Job,
    *,
    qrels: Path | None = None,
    seeds: int = 3,
    calibration: bool = True,
    simulate: str | None = None,
    plot: Path | None = None,
    as_json: bool = False,
    quiet: bool = False,
) -> None:
    """Plans a job and prints the plan; see ``plan_job``."""
    from rankprompt.eval import parse_measure, score
    from rankprompt.planning.plan import plan_job

    ndcg = parse_measure("ndcg@10")
    silent = quiet or as_json
    with show_imports(quiet=silent):
        found = plan_job(
            job,
            measure=lambda run, truth: score(run, truth, [ndcg]).means[ndcg.name],
            qrels=qrels,
            seeds=seeds,
            calibration=calibration,
            simulate=simulate,
            progress=lambda what, total: progress_bar(what, total, quiet=silent),
        )
    if plot is not None:
        _draw(found, plot)
    if as_json:
        print_json(found)
        return
    (_print_simulation if simulate else _print)(found)
    if not quiet:
        for note in _notes(found):
            tell(note)


def _print(found: dict[str, Any]) -> None:
    rows = found["methods"]
    simulated = found["grades"] == "invented"
    shown = [
        ("comparisons", "comparisons", "{:,}".format),
        ("prompts", "prompts", "{:,}".format),
        ("rounds", "rounds", "{:,}".format),
        ("tokens", "tokens", "{:,}".format),
        ("seconds", "time", _duration),
        ("cost", "cost", "{:,.4f}".format),
    ]
    shown = [one for one in shown if rows[0][one[0]] is not None]
    noisy = [noise for noise in rows[0]["quality"] if float(noise)]
    print_table(
        (
            "method",
            *(title for _, title, _ in shown),
            "simulated nDCG@10" if simulated else "nDCG@10",
            *(f"{float(noise):.0%} wrong" for noise in noisy),
        ),
        [
            (
                row["method"],
                *(form(row[name]) for name, _, form in shown),
                f"{row['quality']['0.0']:.3f}",
                *(f"{row['quality'][noise] - row['quality']['0.0']:+.3f}" for noise in noisy),
            )
            for row in rows
        ],
    )


def _print_simulation(found: dict[str, Any]) -> None:
    rows = sorted(found["methods"], key=lambda row: (row["prompts"], row["rounds"]))
    print_table(
        ("method", "prompts a query", "rounds", "nDCG@10", "±", "of a perfect judge"),
        [
            (
                row["method"],
                f"{row['prompts'] / found['queries']:,.0f}",
                f"{row['rounds']:,}",
                f"{row['quality']['simulated']:.3f}",
                f"{row['deviation']['simulated']:.3f}",
                f"{row['quality']['0.0']:.3f}",
            )
            for row in rows
        ],
    )


def _draw(found: dict[str, Any], path: Path) -> None:
    from rankprompt.eval.figures import to_png, to_svg
    from rankprompt.eval.plots import draw_costs

    points = {
        row["method"]: (row["prompts"] / found["queries"], row["quality"]["simulated"])
        for row in found["methods"]
        if row["prompts"]
    }
    means = {"first stage": found["first_stage"]}
    means |= {name: quality for name, (_, quality) in points.items()}
    figure = draw_costs(points, means, "prompts a query", "nDCG@10, simulated judge")
    drawn = to_png(figure) if path.suffix.lower() == ".png" else to_svg(figure)
    write_atomically(path, drawn)


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:,.1f} min" if seconds < 6000 else f"{seconds / 3600:,.1f} h"


def _notes(found: dict[str, Any]) -> list[str]:
    notes = [
        f"{found['queries']:,} queries, {found['documents']:,} candidates; their first stage has "
        f"nDCG@10 {found['first_stage']:.3f}"
    ]
    if found["grades"] == "invented":
        notes.append(
            "nDCG@10 is against invented grades: the document at rank r is relevant with "
            "probability 1/(2 sqrt(r)); --qrels takes real ones"
        )
    if found["judge_model"]:
        notes.append(
            f"the judge is simulated: {found['judge_model']}; its errors are drawn anew for each "
            f"question, in {found['seeds']} simulations, whose mean and deviation these are"
        )
        if all(row["question"] == "comparison" for row in found["methods"]):
            notes.append(
                "this judge model tells how answers about pairs err, so only the methods that "
                "compare pairs are shown; gap=S and flip=P are for all"
            )
    else:
        notes.append(
            "the last columns are what nDCG@10 loses when about 10% and 20% of the judge's answers "
            f"are wrong, the mean of {found['seeds']} simulations"
        )
    if found["one_passage_at_a_time"]:
        notes.append(
            "this prompt reads one passage at a time: a model's errors then do not differ from "
            "pair to pair as the simulated judge's do, and methods come out more alike"
        )
    prompts = {row["prompt"]: None for row in found["methods"] if row["prompt"]}
    if len(prompts) > 1:
        notes.append(f"each method is priced with a prompt of its kind: {', '.join(prompts)}")
    if speed := found["calibration"]:
        notes.append(
            f"the time is an estimate from {speed['prompts']:,} prompts at "
            f"{speed['tokens_per_second']:,.0f} tokens a second, without loading the model"
        )
    if found["tokens_guessed"]:
        notes.append("the server's tokens are guessed from the texts' bytes, rather too many")
    if found["unjudged_queries"]:
        notes.append(
            f"{found['unjudged_queries']:,} queries without grades are left out of nDCG@10"
        )
    if found["skipped_documents"]:
        notes.append(f"{found['skipped_documents']:,} candidates without text left in place")
    return notes
