"""``rankprompt rerank``: a better run from a run."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from rankprompt.cli.console import print_json, progress_bar, show_imports, tell
from rankprompt.cli.options_from_config import takes_rerank_config
from rankprompt.errors import InputError
from rankprompt.pipeline.config import RerankConfig
from rankprompt.pipeline.config_methods import CASCADE

__all__ = ["rerank"]

_SHOWN = 5  # ids of queries in the summary; the manifest names all


@takes_rerank_config()
def rerank(
    config: RerankConfig,
    plan: bool = typer.Option(
        False,
        "--plan",
        help="Only show what each method would cost, as `rankprompt plan` does. Default: off.",
        show_default=False,
    ),
    as_json: bool = typer.Option(
        False, "--json", help="Print the manifest on stdout. Default: off.", show_default=False
    ),
    quiet: bool = typer.Option(
        False,
        "--quiet",
        help="Show no progress bar and no summary. Default: off.",
        show_default=False,
    ),
) -> None:
    """Rerank candidates by asking a model about one, two or several of them at a time.

    Writes the run, a manifest of how it was made and what it cost, and a journal of the answers.
    The same command, started again after an interrupt or a crash, continues where it was.
    """
    from rankprompt.files.manifest import beside
    from rankprompt.pipeline.rerank import run_rerank

    if plan:
        if config.ranker.method == CASCADE:
            raise InputError("`plan` prices methods that ask questions; cascade asks none")
        from rankprompt.cli.plan import show_plan
        from rankprompt.planning.config import PlanConfig

        show_plan(PlanConfig(config), as_json=as_json, quiet=quiet)
        return
    silent = quiet or as_json
    # How far batches are is told in place of a progress bar.
    level = logging.WARNING if silent else logging.NOTSET
    logging.getLogger("rankprompt.batches").setLevel(level)
    try:
        with show_imports(quiet=silent):
            manifest = run_rerank(config, lambda what, n: progress_bar(what, n, quiet=silent))
    except KeyboardInterrupt:
        output = config.output.run or Path()
        journal = config.output.journal or beside(output, ".journal")
        if journal.exists():
            tell(
                f"interrupted; what was answered is kept in {journal}: "
                "the same command, started again, continues from there"
            )
        else:
            tell("interrupted; no run was written")
        raise typer.Exit(130) from None
    if as_json:
        print_json(manifest)
    elif not quiet:
        tell(_summary(manifest))
        for number, stage in enumerate(manifest.get("stages", ()), 1):
            tell(f"stage {number}: {_summary_of_stage(stage)}")


def _summary(manifest: dict[str, Any]) -> str:
    costs = manifest["costs"]
    asked, cached = costs["comparisons_asked"], costs["comparisons_from_journal"]
    judged = f"{asked + cached + costs['comparisons_repeated']:,} {costs['question']}s"
    if costs["question"] == "window" and "cascade" in manifest:
        cascade, cached = manifest["cascade"], costs["prompts_from_journal"]
        judged = f"{cascade['windows_kept']:,} of {cascade['windows_seen']:,} windows kept"
        if cascade["windows_cut"]:
            judged += f", {cascade['windows_cut']:,} of them longer than the teacher reads"
    first = f"{manifest['queries']} queries, {judged}"
    parts = [first + (f" ({cached:,} from the journal)" if cached else "")]
    if "prompts" in costs:
        parts.append(f"{costs['prompts']:,} prompts, {costs['prompt_tokens']:,} tokens")
    if manifest["too_few_comparisons"]:
        parts.append("too few comparisons to see each document once; others stay where they were")
    if costs.get("cost"):
        parts.append(f"cost {costs['cost']:.4f}")
    if costs["comparisons_unasked"]:
        parts.append(f"the budget was spent, {costs['comparisons_unasked']:,} more taken as ties")
    if manifest["passages_cut"]:
        parts.append(f"{manifest['passages_cut']:,} passages cut")
    if escaped := manifest["texts_with_special_tokens"]:
        parts.append(f"{escaped:,} texts spell out special tokens, shown as plain text")
    if manifest["diagnostics"]["unreadable"]:
        parts.append(f"{manifest['diagnostics']['unreadable']:,} unreadable answers taken as ties")
    if manifest["diagnostics"].get("repaired"):
        parts.append(f"{manifest['diagnostics']['repaired']:,} answers repaired")
    if manifest["skipped_documents"]:
        parts.append(f"{manifest['skipped_documents']:,} candidates without text left in place")
    scores = manifest["scores"]
    if "kept" in scores:
        every = scores["kept"] + scores["dropped"]
        parts.append(f"{scores['kept']:,} of {every:,} documents reach the threshold")
    if none := scores.get("none_relevant"):
        parts.append(f"nothing relevant to {_name(none)}: no document reaches the threshold")
    if missing := scores.get("not_judged"):
        parts.append(f"{_name(missing)} left out: nothing was asked about the documents")
    return f"{manifest['output']['path']}: {'; '.join(parts)}; {costs['seconds']:.1f} s"


def _name(queries: Sequence[str]) -> str:
    """The number of queries, and the ids of the first."""
    shown = ", ".join(queries[:_SHOWN]) + (", ..." if len(queries) > _SHOWN else "")
    return f"{len(queries):,} queries ({shown})" if len(queries) > 1 else f"query {shown}"


def _summary_of_stage(stage: dict[str, Any]) -> str:
    costs = stage["costs"]
    judged = costs["comparisons_asked"] + costs["comparisons_from_journal"]
    judged += costs["comparisons_repeated"]
    parts = [f"{stage['method']} with {stage['model'].get('name', 'an oracle')}"]
    parts += [f"the first {stage['depth']:,}"]
    if costs["question"] != "window":
        parts.append(f"{judged:,} {costs['question']}s")
    if "prompts" in costs:
        parts.append(f"{costs['prompts']:,} prompts, {costs['prompt_tokens']:,} tokens")
    if costs.get("cost"):
        parts.append(f"cost {costs['cost']:.4f}")
    return f"{'; '.join(parts)}; {costs['seconds']:.1f} s"
