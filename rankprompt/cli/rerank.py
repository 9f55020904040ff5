"""``rankprompt rerank``: a better run from a run."""

import dataclasses
from pathlib import Path
from typing import Any

import typer

from rankprompt.cli import options
from rankprompt.cli.console import print_json, progress_bar, show_imports, tell
from rankprompt.errors import InputError
from rankprompt.pipeline.config import CASCADE, Job
from rankprompt.rankers.stages import split_stages

__all__ = ["rerank"]

_METHODS = (
    "By pairs: allpair, heapsort, sliding, pipelined, quickselect, bradley-terry or prp-graph; by "
    "other questions (docs/rankers.md): pointwise, setwise-heapsort, setwise-bubblesort, "
    "setwise-insertion, listwise or tourrank"
)


def rerank(
    run: Path | None = typer.Option(
        None,
        help="The first stage's run, in TREC form; plain or gzip. Left out: the candidates that "
        "come with the dataset.",
    ),
    queries: Path | None = typer.Option(
        None, help="Queries: TSV (id, tab, text), JSONL or TREC topics."
    ),
    docs: Path | None = typer.Option(
        None, help="Documents: JSONL (id; contents or text; title if any) or TSV."
    ),
    dataset: str | None = typer.Option(
        None,
        help="In place of --queries and --docs: ir:ID (ir_datasets), beir:DIR, t2ranking:DIR or "
        "requests:FILE; a folder or file without such a word is recognised.",
    ),
    split: options.Split = None,
    fields: str = typer.Option(
        Job.fields, help="A document's fields that make its passage, in this order."
    ),
    output: Path = typer.Option(
        ...,
        help="The run to write; manifest (.json) and journal (.journal) come beside it.",
    ),
    model: str = typer.Option(
        Job.model,
        help="smollm2-135m (from PyPI, no download at run time), a local folder, a .gguf file, "
        "a hub id, openai:MODEL for a server (with --base-url), or oracle:QRELS.trec to judge by "
        "the grades without any model.",
    ),
    method: str | None = typer.Option(
        None,
        help=f"{_METHODS}; or stages, as in heapsort,allpair@20: allpair reranks the best 20 of "
        "heapsort; or cascade, where a teacher scores passages. Left out: what suits the prompt, "
        "for pairs heapsort; allpair where it reads one passage at a time, since there all pairs "
        "cost no more than a few.",
    ),
    k: int = typer.Option(
        Job.k, help="Rank the top k (heapsort, quickselect, bradley-terry, setwise)."
    ),
    passes: options.Passes = None,
    early_exit: bool = typer.Option(
        False, "--early-exit", help="Stop sliding after a pass without a swap; same ranking."
    ),
    comparisons: options.Comparisons = None,
    set_size: options.SetSize = None,
    step: options.Step = None,
    tournaments: options.Tournaments = None,
    depth: options.Depth = Job.depth,
    prompt: str | None = typer.Option(
        None,
        help="A prompt that comes with rankprompt (`rankprompt doctor` lists them) or a TOML file. "
        "Left out: what measured best for the embedded model, prp for any other.",
    ),
    mode: str = typer.Option(
        Job.mode, help="How a choice is read: scoring (likelihoods) or generation (text)."
    ),
    order: str = typer.Option(
        Job.order, help="Ask each pair in both orders, or in a single one drawn by the seed."
    ),
    decide: str | None = typer.Option(
        None,
        help="agreement (both orders agree, else a tie) or soft (mean probability). Left out: "
        "agreement for choices, soft for likelihoods.",
    ),
    prior: float | None = typer.Option(
        None,
        help="Add the first stage's standardised scores, so weighted, to the log-odds of each "
        "preference; 0 leaves them out. Left out: what the prompt file says, else 0.",
    ),
    cascade: options.Cascade = None,
    keep: options.Keep = Job.keep,
    window: options.Window = Job.window,
    overlap: options.Overlap = Job.overlap,
    window_unit: options.WindowUnit = Job.window_unit,
    teacher: str | None = typer.Option(
        None,
        help="With --method cascade: ms-marco-minilm-l12 (the default, from PyPI), the folder of a "
        "cross-encoder, or llm:MODEL with a --prompt that shows one passage (left out: "
        "relevance-yes-no).",
    ),
    aggregate: str | None = typer.Option(
        None,
        help="With --method cascade: a document's score is the max of its passages, mean:L of the "
        "best L, or by weights that the teacher has learned. Left out: learned if any, or mean:3.",
    ),
    passage_tokens: options.PassageTokens = None,
    input_order: options.InputOrder = Job.input_order,
    limit: int | None = typer.Option(None, help="Rerank only the first N queries of the run."),
    seed: options.Seed = Job.seed,
    noise: float = typer.Option(
        Job.noise, help="With an oracle: the share of wrong answers, 0 to 1."
    ),
    judge_model: str | None = typer.Option(
        None,
        help="With an oracle: how it errs, as in flip=0.2 (which is --noise 0.2), gap (near ties "
        "are guesses), errors=0.4/0.2/0.1 (at grades 1, 2, 3 apart), bias=0.1, ties=0.05, "
        "circle=0.1, or several with commas between them: docs/rankers-noise.md.",
    ),
    skip_missing: options.SkipMissing = False,
    journal: Path | None = typer.Option(
        None,
        help="Where answers are kept; a later run asks nothing that stands there. "
        "Left out: beside the output.",
    ),
    dtype: options.Dtype = Job.dtype,
    device: options.Device = Job.device,
    batch_tokens: options.BatchTokens = None,
    threads: options.Threads = None,
    trust_remote_code: options.TrustRemoteCode = False,
    base_url: str | None = typer.Option(
        None,
        help="Of an OpenAI-compatible server, such as http://localhost:8080/v1. Its key is read "
        "from RANKPROMPT_API_KEY or OPENAI_API_KEY.",
    ),
    concurrency: options.Concurrency = Job.concurrency,
    max_prompts: int | None = typer.Option(
        None, help="Ask no more prompts; what is left then is a tie, and the run is written."
    ),
    max_tokens: int | None = typer.Option(None, help="Likewise, tokens read and written."),
    max_cost: float | None = typer.Option(None, help="Likewise, money, at the prices given."),
    price_in: options.PriceIn = Job.price_in,
    price_out: options.PriceOut = Job.price_out,
    ray: str | None = typer.Option(
        None,
        help="Rerank on a Ray cluster: local, auto or HOST:PORT (a cluster with tokens needs "
        "RAY_AUTH_MODE=token). Every machine needs the same rankprompt and model.",
    ),
    workers: int = typer.Option(
        Job.workers, help="On Ray: how many, each with a model of its own."
    ),
    gpus_per_worker: float | None = typer.Option(
        None, help="On Ray: left out, one each where the cluster has any."
    ),
    plan: bool = typer.Option(
        False, "--plan", help="Only show what each method would cost; see `rankprompt plan`."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print the manifest on stdout."),
    quiet: bool = typer.Option(False, "--quiet", help="No progress bar and no summary."),
) -> None:
    """Rerank candidates by asking a model about one, two or several of them at a time.

    Writes the run, a manifest of how it was made and what it cost, and a journal of the answers.
    The same command, started again after an interrupt or a crash, goes on where it was.
    """
    from rankprompt.files.manifest import beside
    from rankprompt.pipeline.rerank import run_job

    given = locals()
    job = Job(**{field.name: given[field.name] for field in dataclasses.fields(Job)})
    if plan and job.method == CASCADE:
        raise InputError("--plan prices methods that compare pairs; cascade is none of them")
    if plan:
        from rankprompt.cli.plan import show_plan

        show_plan(job, as_json=as_json, quiet=quiet)
        return
    kept = job.journal or beside(job.output, ".journal")
    silent = quiet or as_json
    try:
        with show_imports(quiet=silent):
            manifest = run_job(job, lambda what, total: progress_bar(what, total, quiet=silent))
    except KeyboardInterrupt:
        if job.oracle:
            tell("interrupted; no run was written")
        else:
            tell(
                f"interrupted; what was answered is kept in {kept}: "
                "the same command, started again, goes on from there"
            )
        raise typer.Exit(130) from None
    if as_json:
        print_json(manifest)
    elif not quiet:
        tell(_summary(output, manifest))


def _summary(output: Path, manifest: dict[str, Any]) -> str:
    costs = manifest["costs"]
    asked, kept = costs["comparisons_asked"], costs["comparisons_from_journal"]
    did = f"{asked + kept:,} {costs['question']}s"
    if manifest["settings"]["teacher"]:
        cascade, kept = manifest["cascade"], costs["prompts_from_journal"]
        did = f"{cascade['windows_kept']:,} of {cascade['windows_seen']:,} windows kept"
        if cascade["windows_cut"]:
            did += f", {cascade['windows_cut']:,} of them longer than the teacher reads"
    parts = [
        f"{manifest['queries']} queries, {did}" + (f" ({kept:,} from the journal)" if kept else "")
    ]
    if "prompts" in costs:
        parts.append(f"{costs['prompts']:,} prompts, {costs['prompt_tokens']:,} tokens")
    if _too_few(manifest):
        parts.append("too few comparisons to see each document once; others stay where they were")
    if costs.get("cost"):
        parts.append(f"cost {costs['cost']:.4f}")
    if costs["comparisons_unasked"]:
        parts.append(f"the budget was spent, {costs['comparisons_unasked']:,} more taken as ties")
    if manifest["passages_cut"]:
        parts.append(f"{manifest['passages_cut']:,} passages cut")
    if marked := manifest["texts_with_special_tokens"]:
        parts.append(f"{marked:,} texts spell out special tokens, shown as plain text")
    if manifest["diagnostics"]["unreadable"]:
        parts.append(f"{manifest['diagnostics']['unreadable']:,} unreadable answers taken as ties")
    if manifest["diagnostics"].get("repaired"):
        parts.append(f"{manifest['diagnostics']['repaired']:,} answers repaired")
    if manifest["skipped_documents"]:
        parts.append(f"{manifest['skipped_documents']:,} candidates without text left in place")
    return f"{output}: {'; '.join(parts)}; {costs['seconds']:.1f} s"


def _too_few(manifest: dict[str, Any]) -> bool:
    """Whether a tournament's budget is less than a comparison for every two documents."""
    budget, documents = manifest["settings"]["comparisons"], manifest["documents"]
    (first, depth), *_ = split_stages(manifest["settings"]["method"])
    if budget is None or first != "bradley-terry" or not manifest["queries"]:
        return False
    return bool(2 * budget < min(depth or documents, documents / manifest["queries"]))
