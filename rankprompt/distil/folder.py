"""The folder of a student: the head, its configuration, its card and its curves."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rankprompt.cascade.report_files import csv_text
from rankprompt.distil.config import DistilConfig
from rankprompt.errors import InputError
from rankprompt.files.atomic_folder import build_beside
from rankprompt.llm.model_folders import make_folder
from rankprompt.llm.rerankers.head_files import CONFIG, WEIGHTS, HeadConfig, format_config
from rankprompt.pipeline.job import RerankJob
from rankprompt.version import VERSION

if TYPE_CHECKING:
    from rankprompt.distil.job import DistilResult

__all__ = ["check_output", "write_head"]


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
        "curves.csv": csv_text(head.curve).encode(),
        "README.md": _card(config, job, about, result).encode(),
    }
    try:
        with build_beside(config.output) as scratch:
            folder = scratch / "head"
            folder.mkdir()
            for name, content in files.items():
                (folder / name).write_bytes(content)
            check_output(config.output)
            folder.rename(config.output)
    except OSError as error:
        raise InputError(f"cannot write {config.output}: {error.strerror or error}") from error


def _card(config: DistilConfig, job: RerankJob, about: HeadConfig, result: "DistilResult") -> str:
    head, data, judge = result.head, job.config.data, job.config.judge
    teacher = job.config.model.name
    asked = f"with the prompt {job.prompt.name}, mode {judge.mode}" if job.prompt else "by grades"
    journal = config.teacher.output.journal
    return f"""# A reranker distilled from {teacher}

A linear head on the output of layer {about.layer} of {about.model}, at the last token of a prompt
that shows the query and one passage. Made by `rankprompt distil` (rankprompt {VERSION}). Use:

    rankprompt rerank --model THIS_FOLDER --run bm25.trec --queries queries.tsv --docs docs.jsonl \\
        --output better.trec

The difference of two scores is the log-odds that the first passage is the more relevant one, as the
teacher sees it. A single score is no probability of relevance; `rankprompt calibrate` makes it one.

## Teacher and data

- teacher: {teacher}, {asked}{f", from the journal {journal}" if journal else ""}
- candidates: {data.run or data.dataset}, depth {data.depth}
- pairs: {result.pairs[0]:,} of {result.queries[0]:,} queries learnt from, {result.pairs[1]:,} of \
{result.queries[1]:,} other queries to validate on; ties left out
- the student read {result.passages:,} passages, {result.tokens:,} tokens

## Scores

| | pairs ordered as the teacher orders them |
|---|---|
| learnt from | {result.learned:.3f} |
| validation, which also chose layer, penalty and step | {head.right:.3f} |

Measure it on queries of your own with `rankprompt evaluate` before you rely on it. `curves.csv` has
every fit.

## Settings

- student: {about.model}, layer {about.layer}, {about.dtype}, fingerprint {about.fingerprint}
- L2 penalty {head.penalty:g}, seed {job.config.seed}

## Licences

The head holds numbers that were learnt from the teacher's answers about these texts. Whether it may
be passed on depends on the terms of the teacher (some forbid that models learn from its answers),
of the texts, and of {about.model}, without which the head is of no use.
"""
