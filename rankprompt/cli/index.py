"""``rankprompt index``: a Lucene index of a whole collection."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from rankprompt.cli.console import print_json, progress_bar, show_imports, tell

if TYPE_CHECKING:
    from rankprompt.datasets.base import Documents, Fields

__all__ = ["index"]

_STEP = 1000


def index(
    output: Path = typer.Option(..., help="The folder of the index; new or empty."),
    dataset: str | None = typer.Option(None, help="As in rerank: a collection by name."),
    docs: Path | None = typer.Option(
        None, help="In place of --dataset: documents as JSONL (id; contents or text) or TSV."
    ),
    fields: str = typer.Option(
        "title,text", help="Fields of the documents to index, in this order."
    ),
    language: str = typer.Option(
        "en", help="Language of the documents, which decides what a word is; zh is Chinese."
    ),
    threads: int | None = typer.Option(None, help="Threads that index; left out: one a core."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
    quiet: bool = typer.Option(False, "--quiet", help="No progress bar and no notes."),
) -> None:
    """Index a collection with Lucene, as a first stage for retrieve.

    Needs Java 21 and Anserini; doctor shows whether they are here and how to install them. The
    index is there as a whole or not at all.
    """
    from rankprompt.errors import InputError
    from rankprompt.retrieval import anserini
    from rankprompt.retrieval.lucene import build

    chosen = tuple(filter(None, fields.replace(",", " ").split()))
    if not chosen:
        raise InputError("--fields names no field; give some, as in title,text")
    anserini.find_java(), anserini.find_jar()  # before a file is read
    started = time.perf_counter()
    silent = quiet or as_json
    with show_imports(quiet=silent):
        documents = _open(dataset, docs)
    with progress_bar("reading documents", len(documents), quiet=silent) as advance:
        about = build(
            _counted(documents, advance),
            output,
            language=language,
            fields=chosen,
            threads=os.cpu_count() or 1 if threads is None else threads,
        )
    if as_json:
        print_json({"index": str(output), **about})
        return
    seconds = time.perf_counter() - started
    tell(f"{output}: {about['documents']:,} documents indexed as {language!r} in {seconds:.1f} s")
    if about["blank_documents"] and not quiet:
        first = ", ".join(about["first_blank"])
        tell(f"{about['blank_documents']:,} blank documents are not in the index, first: {first}")


def _open(dataset: str | None, docs: Path | None) -> "Documents":
    from rankprompt.datasets import open_collection
    from rankprompt.datasets.document_file import DocumentFile
    from rankprompt.datasets.documents import open_documents
    from rankprompt.errors import InputError

    if docs and not dataset:
        return open_documents(DocumentFile(docs))
    if dataset and not docs:
        return open_collection(dataset).documents()
    raise InputError("give either --dataset or --docs")


def _counted(
    documents: "Documents", advance: Callable[[int], None]
) -> "Iterator[tuple[str, Fields]]":
    for count, one in enumerate(documents, start=1):
        yield one
        if count % _STEP == 0:
            advance(_STEP)
