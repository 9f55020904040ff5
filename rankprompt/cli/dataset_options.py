"""The options by which several verbs name a dataset, or files in its place."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

__all__ = ["Dataset", "Docs", "Queries", "Split"]

Dataset: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="The dataset: ir:ID (ir_datasets), beir:DIR, t2ranking:DIR or requests:FILE. The "
        "format of a folder or file without such a prefix is detected."
    ),
]
Split: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="The dataset's split, such as dev or test. Default: test for BEIR, dev for T2Ranking."
    ),
]
Queries: TypeAlias = Annotated[
    Path | None,
    typer.Option(help="Queries, in place of a dataset: TSV (id, tab, text), JSONL or TREC topics."),
]
Docs: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        help="Documents, in place of a dataset: JSONL (id; contents or text; optional title) or "
        "TSV."
    ),
]
