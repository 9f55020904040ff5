"""The folder of a student: the head, its configuration, its card and its curves."""

import logging
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rankprompt.cascade.report_files import Lines, csv_text
from rankprompt.distil.config import DistilConfig
from rankprompt.errors import InputError
from rankprompt.eval.figures import COLOURS, MARKERS, STYLE, to_svg
from rankprompt.files.atomic_folder import build_beside
from rankprompt.llm.model_folders import make_folder
from rankprompt.llm.rerankers.head_files import CONFIG, WEIGHTS, HeadConfig, format_config
from rankprompt.pipeline.job import RerankJob
from rankprompt.version import VERSION

if TYPE_CHECKING:
    from rankprompt.distil.head_training import FittedHead
    from rankprompt.distil.job import DistilResult

__all__ = ["check_output", "describe_teacher", "write_folder", "write_head"]

log = logging.getLogger("rankprompt")


def check_output(folder: Path) -> None:
    """Checks that a folder can be written, and that nothing is in its place.

    Raises:
        InputError: something is, or its parent cannot be made.
    """
    if folder.exists() or folder.is_symlink():
        raise InputError(f"{folder} exists: name another `output`, or remove it")
    make_folder(folder.absolute().parent)


def write_head(
    config: DistilConfig, job: RerankJob, about: HeadConfig, result: "DistilResult"
) -> None:
    """Writes the folder whole or not at all.

    Raises:
        InputError: it cannot be written, or something is in its place by now.
    """
    from safetensors.numpy import save

    head = result.head
    tensors = {"weight": head.weight, "bias": np.array([head.bias], dtype=np.float32)}
    files = {
        WEIGHTS: save(tensors),
        CONFIG: format_config(about).encode(),
        **_curves(head),
        "README.md": _card(config, job, about, result).encode(),
    }
    write_folder(config.output, files)


def write_folder(output: Path, files: Mapping[str, bytes]) -> None:
    """Writes a student's folder whole or not at all.

    Args:
        output: the folder.
        files: contents by file name.

    Raises:
        InputError: it cannot be written, or something is in its place by now.
    """
    try:
        with build_beside(output) as scratch:
            folder = scratch / "student"
            folder.mkdir()
            for name, content in files.items():
                (folder / name).write_bytes(content)
            check_output(output)
            folder.rename(output)
    except OSError as error:
        raise InputError(f"cannot write {output}: {error.strerror or error}") from error


def describe_teacher(config: DistilConfig, job: RerankJob) -> str:
    """The lines of a card about the teacher and the candidates."""
    data, judge, journal = job.config.data, job.config.judge, config.teacher.output.journal
    asked = f"with the prompt {job.prompt.name}, mode {judge.mode}" if job.prompt else "by grades"
    learnt = f", from the journal {journal}" if journal else ""
    return (
        f"- teacher: {job.config.model.name}, {asked}{learnt}\n"
        f"- candidates: {data.run or data.dataset}, depth {data.depth}"
    )


def _curves(head: "FittedHead") -> dict[str, bytes]:
    """The curves by file name: as CSV and, where matplotlib is installed, as a plot."""
    files = {"curves.csv": csv_text(head.curve).encode()}
    if find_spec("matplotlib"):
        lines = {
            label: [(row["penalty"], row[key]) for row in head.curve]
            for label, key in (
                ("pairs right, learnt from", "learned"),
                ("pairs right, other queries", "held_out"),
                ("nDCG@10, other queries", "ndcg"),
            )
        }
        loss = {"loss, other queries": [(row["penalty"], row["loss"]) for row in head.curve]}
        files["curves.svg"] = _draw([("share, nDCG@10", lines), ("nats a pair", loss)]).encode()
    else:
        log.warning(
            "curves.svg is not drawn: matplotlib is missing; pip install 'rankprompt[report]'"
        )
    return files


def _draw(panels: Sequence[tuple[str, Lines]]) -> str:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure = Figure(figsize=(8, 3.4), layout="constrained")
        drawn = figure.subplots(1, len(panels))
        styles = zip(COLOURS, MARKERS, strict=False)
        for (y_label, lines), axes in zip(panels, drawn, strict=True):
            for label, points in lines.items():
                colour, marker = next(styles)
                axes.plot(*zip(*points, strict=True), label=label, color=colour, marker=marker)
            axes.set(xscale="log", xlabel="L2 penalty", ylabel=y_label)
        return to_svg(figure, drawn)


def _card(config: DistilConfig, job: RerankJob, about: HeadConfig, result: "DistilResult") -> str:
    head = result.head
    layers = ", ".join(map(str, about.layers))
    chosen = (
        "those that a Bradley-Terry tournament asked" if config.choose == "doubt"
        else "drawn by the seed"
    )  # fmt: skip
    return f"""# A reranker distilled from {job.config.model.name}

A linear head on the outputs of layers {layers} of {about.model}, at the last token of a
prompt that shows the query and one passage. Made by `rankprompt distil` (rankprompt {VERSION}).

    rankprompt rerank --model THIS_FOLDER --run bm25.trec --queries queries.tsv --docs docs.jsonl \\
        --output better.trec

The difference of two scores is the log-odds that the first passage is the more relevant one, as the
teacher sees it. A single score is no probability of relevance; `rankprompt calibrate` makes it one.

## Teacher and data

{describe_teacher(config, job)}
- pairs: {result.pairs:,} of {result.queries:,} queries, {chosen}; ties left out
- the student read {result.passages:,} passages, {result.tokens:,} tokens

## Scores

| | pairs ordered as the teacher orders them | nDCG@10 |
|---|---|---|
| queries that were learnt from | {head.learned:.3f} | |
| other queries, by cross-validation, which also chose the penalty | {head.right:.3f} | \
{head.ndcg:.3f} |

nDCG@10 is that of the passages in the pairs. The gain of a passage is the probability that the
teacher prefers it to one of mean strength, by Bradley-Terry strengths fitted to its preferences; a
random order has far more than 0. Measure the head on queries of your own with `rankprompt evaluate`
before you rely on it. `curves.csv` has every penalty.

## Settings

- student: {about.model}, layers {layers}, {about.dtype}, fingerprint {about.fingerprint}
- L2 penalty {head.penalty:g}, seed {job.config.seed}

## Licences

The head holds numbers that were learnt from the teacher's answers about these texts. Whether it may
be passed on depends on the terms of the teacher (some forbid that models learn from its answers),
of the texts, and of {about.model}, without which the head is of no use.
"""
