"""``rankprompt index``: builds a Lucene index of a dataset."""

import time
from pathlib import Path

import typer

from rankprompt.cli.console import print_json, progress_bar, show_imports, tell
from rankprompt.cli.dataset_options import Dataset, Docs
from rankprompt.datasets.passages import FIELDS

__all__ = ["index"]


def index(
    output: Path = typer.Option(..., help="The folder of the index; new or empty."),
    dataset: Dataset = None,
    docs: Docs = None,
    fields: str = typer.Option(
        ",".join(FIELDS), help="The fields of a document to index, in this order."
    ),
    language: str = typer.Option(
        "en", help="The language of the documents, which decides what a word is; zh is Chinese."
    ),
    threads: int | None = typer.Option(
        None, help="The number of threads that index. Default: one for each core."
    ),
    as_json: bool = typer.Option(
        False, "--json", help="Print the description of the index as JSON on stdout."
    ),
    quiet: bool = typer.Option(False, "--quiet", help="Show no progress bar and no notes."),
) -> None:
    """Index a dataset with Lucene, as a first stage for retrieve.

    Needs Java 21 and Anserini; doctor shows whether they are installed and how to install them.
    The index is written whole or not at all.
    """
    from rankprompt.retrieval.lucene_index import index_dataset

    started = time.perf_counter()
    silent = quiet or as_json
    with show_imports(quiet=silent):
        description = index_dataset(
            output,
            dataset=dataset,
            docs=docs,
            fields=fields,
            language=language,
            threads=threads,
            progress=lambda what, total: progress_bar(what, total, quiet=silent),
        )
    if as_json:
        print_json({"index": str(output), **description})
        return
    seconds = time.perf_counter() - started
    count, blank = description["documents"], description["blank_documents"]
    tell(f"{output}: {count:,} documents indexed as {description['language']!r} in {seconds:.1f} s")
    if blank and not quiet:
        first = ", ".join(description["first_blank"])
        tell(f"{blank:,} blank documents are not in the index, first: {first}")
