"""``rankprompt distil``: a small judge that learns a large one's preferences."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import typer

from rankprompt.cli.console import progress_bar, show_imports, tell
from rankprompt.cli.options_from_config import takes_rerank_config
from rankprompt.distil.config import CHOICES, PAIRS, PROMPT, DistilConfig
from rankprompt.llm.embedded import EMBEDDED
from rankprompt.pipeline.config import RerankConfig
from rankprompt.types import Progress

__all__ = ["distil"]

# A teacher is one model that is asked about pairs, and no run is written.
_WITHOUT = (
    "model", "method", "k", "passes", "early_exit", "comparisons", "set_size", "step",
    "tournaments", "input_order", "decide", "prior", "stage", "cascade", "keep", "window",
    "overlap", "window_unit", "teacher", "aggregate", "noise", "judge_model", "ray", "workers",
    "gpus_per_worker", "together", "batch_api", "journal", "output", "scores", "threshold",
    "calibration",
)  # fmt: skip


@takes_rerank_config(without=_WITHOUT)
def distil(
    config: RerankConfig,
    output: Path = typer.Option(
        ...,
        help="The folder to write, which must not exist: the head, its card and its curves. "
        "`rankprompt rerank --model FOLDER` uses it.",
        rich_help_panel="Output",
    ),
    teacher: str | None = typer.Option(
        None,
        help="The model that teaches, as --model of rerank: ms-marco-minilm-l12, a folder, a hub "
        "id, openai:MODEL, or oracle:QRELS.trec. Default: that of --config or --from, else "
        "ms-marco-minilm-l12.",
        show_default=False,
        rich_help_panel="Teacher and student",
    ),
    journal: Path | None = typer.Option(
        None,
        help="Learn from the answers in the journal of a run, and ask nothing; the other options "
        "are those of that run (or --from its manifest, which names its journal). Default: ask "
        "the teacher; the answers go into a journal beside the output, where the same command "
        "finds them again.",
        show_default=False,
        rich_help_panel="Teacher and student",
    ),
    student: str = typer.Option(
        EMBEDDED,
        help=f"The language model that learns: {EMBEDDED}, a folder, a .gguf file or a hub id. Its "
        f"weights stay as they are. Default: {EMBEDDED}.",
        show_default=False,
        rich_help_panel="Teacher and student",
    ),
    student_prompt: str = typer.Option(
        PROMPT,
        help="The prompt, of one passage, after which the student's states are read; its options "
        f"play no part. Default: {PROMPT}.",
        show_default=False,
        rich_help_panel="Teacher and student",
    ),
    pairs: int = typer.Option(
        PAIRS,
        help=f"Learn from at most this many pairs, drawn by the seed. Default: {PAIRS}.",
        show_default=False,
        rich_help_panel="Teacher and student",
    ),
    choose: str = typer.Option(
        CHOICES[0],
        help="Which pairs the teacher is asked about: random, or doubt: those that a Bradley-Terry "
        f"tournament asks of each query, with an equal share of --pairs. Default: {CHOICES[0]}.",
        show_default=False,
        rich_help_panel="Teacher and student",
    ),
    dry_run: bool = typer.Option(
        False,
        "--dry-run",
        help="Say how many pairs, prompts and tokens there are, and how long the student takes; "
        "write nothing, and ask the teacher nothing. Default: off.",
        show_default=False,
        rich_help_panel="Output",
    ),
    quiet: bool = typer.Option(
        False,
        "--quiet",
        help="Show no progress bar and no summary. Default: off.",
        show_default=False,
        rich_help_panel="Output",
    ),
) -> None:
    """Train a small reranker on what a large model prefers: a linear head on a frozen model.

    Preferences come from the journal of a run, or the teacher is asked. The student reads each
    passage once with its query; the head is then fitted in seconds, its penalty chosen by
    cross-validation over queries. The folder is a reranker for --model, `Reranker` and the service.
    """
    from rankprompt.distil.job import distil as run

    if teacher is not None:
        config = replace(config, model=replace(config.model, name=teacher))
    if journal is not None:
        config = replace(config, output=replace(config.output, journal=journal))
    chosen = DistilConfig(output, config, student, student_prompt, pairs, choose)

    def progress(what: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
        return progress_bar(what, total, quiet=quiet)

    with show_imports(quiet=quiet):
        if dry_run:
            _tell_plan(chosen, progress)
            return
        made = run(chosen, progress)
    if not quiet:
        tell(
            f"{output}: a head on {student}, fitted to {made.pairs:,} pairs of {made.queries:,} "
            f"queries in {made.seconds:,.0f} s; of queries that it has not learnt from, it orders "
            f"{made.head.right:.3f} of the pairs as the teacher does, nDCG@10 {made.head.ndcg:.3f} "
            "with the teacher's gains (cross-validation)"
        )


def _tell_plan(config: DistilConfig, progress: Progress) -> None:
    from rankprompt.distil.dry_run import plan_distillation

    made = plan_distillation(config, progress)
    tokens = f" of {made.teacher_tokens:,} tokens" if made.teacher_tokens is not None else ""
    asked = f"at most {made.prompts:,} prompts{tokens} to the teacher" if made.prompts else ""
    tell(
        f"{made.pairs:,} pairs of {made.queries:,} queries; "
        + (f"{asked}, less what the journal beside the output answers; " if asked else "")
        + f"{made.passages:,} passages of {made.student_tokens:,} tokens for the student to read, "
        f"about {made.seconds:,.0f} s here"
    )
