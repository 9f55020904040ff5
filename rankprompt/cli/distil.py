"""``rankprompt distil``: a small judge that learns a large one's preferences."""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path

import typer

from rankprompt.cli.console import progress_bar, show_imports, tell
from rankprompt.cli.options_from_config import takes_rerank_config
from rankprompt.distil.config import CHOICES, PAIRS, PROMPT, DistilConfig
from rankprompt.distil.lora_config import EPOCHS, LEARNING_RATE, LoraConfig
from rankprompt.errors import InputError
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


class StudentKind(StrEnum):
    """What of a student is trained."""

    HEAD = "head"
    LORA = "lora"


@takes_rerank_config(without=_WITHOUT)
def distil(
    config: RerankConfig,
    output: Path = typer.Option(
        ...,
        help="The folder to write, which must not exist: the student, its card and its curves. "
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
        f"own weights stay as they are. Default: {EMBEDDED}.",
        show_default=False,
        rich_help_panel="Teacher and student",
    ),
    student_kind: StudentKind = typer.Option(
        StudentKind.HEAD,
        help="What is trained: head, a linear head on the model's hidden states, in minutes; or "
        "lora, an adapter with which the model answers the student's prompt, in hours. Default: "
        "head.",
        show_default=False,
        rich_help_panel="Teacher and student",
    ),
    student_prompt: str = typer.Option(
        PROMPT,
        help="The prompt that the student reads: a shipped one or a file. For a head it shows one "
        "passage, and its options play no part; an adapter learns to choose between its two "
        f"options, as in {PROMPT} or prp. Default: {PROMPT}.",
        show_default=False,
        rich_help_panel="Teacher and student",
    ),
    epochs: int | None = typer.Option(
        None,
        help=f"With lora: see each pair at most this many times. Default: {EPOCHS}.",
        show_default=False,
        rich_help_panel="Teacher and student",
    ),
    learning_rate: float | None = typer.Option(
        None,
        help="With lora: the highest learning rate. It rises over the first steps, and then falls "
        f"to 0. Default: {LEARNING_RATE:g}.",
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
    """Train a small judge on what a large model prefers: a head or an adapter.

    Preferences come from the journal of a run, or the teacher is asked. A head reads the states of
    each passage and is fitted in seconds, its penalty chosen by cross-validation over queries; an
    adapter (LoRA) is trained on the student's own prompt, validated by a fifth of the queries. The
    folder is a model for --model, `Reranker` and the service.
    """
    if teacher is not None:
        config = replace(config, model=replace(config.model, name=teacher))
    if journal is not None:
        config = replace(config, output=replace(config.output, journal=journal))
    chosen = DistilConfig(output, config, student, student_prompt, pairs, choose)
    lora = _lora(student_kind, epochs, learning_rate)
    if quiet:  # the lines that a training tells are its progress
        logging.getLogger("rankprompt").setLevel(logging.WARNING)

    def progress(what: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
        return progress_bar(what, total, quiet=quiet)

    with show_imports(quiet=quiet):
        if dry_run:
            _tell_plan(chosen, lora, progress)
            return
        told = _train(chosen, lora, progress)
    if not quiet:
        tell(told)


def _lora(kind: StudentKind, epochs: int | None, learning_rate: float | None) -> LoraConfig | None:
    given = {"epochs": epochs, "learning_rate": learning_rate}
    settings = {name: value for name, value in given.items() if value is not None}
    if kind is StudentKind.LORA:
        return LoraConfig(**settings)  # type: ignore[arg-type]
    if settings:
        raise InputError(f"`{next(iter(settings))}` goes with `student_kind` lora")
    return None


def _train(config: DistilConfig, lora: LoraConfig | None, progress: Progress) -> str:
    """Trains a student; returns what to tell of it."""
    if lora:
        from rankprompt.distil.lora_job import distil_lora

        adapter = distil_lora(config, lora, progress)
        learned, held_out = adapter.pairs
        bias = adapter.best.get("inconsistent")
        by_place = "" if bias is None else f", and {bias:.3f} by their place"
        return (
            f"{config.output}: an adapter of {config.student}, trained on {learned:,} pairs of "
            f"{adapter.queries[0]:,} queries in {adapter.seconds:,.0f} s; of {held_out:,} pairs of "
            f"{adapter.queries[1]:,} other queries, it orders {adapter.best['held_out']:.3f} as "
            f"the teacher does (before: {adapter.begun['held_out']:.3f}){by_place}"
        )
    from rankprompt.distil.job import distil as run

    made = run(config, progress)
    return (
        f"{config.output}: a head on {config.student}, fitted to {made.pairs:,} pairs of "
        f"{made.queries:,} queries in {made.seconds:,.0f} s; of queries that it has not learnt "
        f"from, it orders {made.head.right:.3f} of the pairs as the teacher does, nDCG@10 "
        f"{made.head.ndcg:.3f} with the teacher's gains (cross-validation)"
    )


def _tell_plan(config: DistilConfig, lora: LoraConfig | None, progress: Progress) -> None:
    if lora:
        from rankprompt.distil.lora_dry_run import plan_lora

        plan = plan_lora(config, lora, progress)
        asked = _asked(plan.prompts, plan.teacher_tokens)
        tell(
            f"{plan.pairs:,} pairs of {plan.queries:,} queries; {asked}{plan.steps:,} steps at the "
            f"most, in which the student reads {plan.student_tokens:,} tokens with those of "
            f"validation, about {plan.seconds:,.0f} s here"
        )
        return
    from rankprompt.distil.dry_run import plan_distillation

    made = plan_distillation(config, progress)
    asked = _asked(made.prompts, made.teacher_tokens)
    tell(
        f"{made.pairs:,} pairs of {made.queries:,} queries; {asked}"
        f"{made.passages:,} passages of {made.student_tokens:,} tokens for the student to read, "
        f"about {made.seconds:,.0f} s here"
    )


def _asked(prompts: int, tokens: int | None) -> str:
    if not prompts:
        return ""
    of = f" of {tokens:,} tokens" if tokens is not None else ""
    return (
        f"at most {prompts:,} prompts{of} to the teacher, less what the journal beside the output "
        "answers; "
    )
