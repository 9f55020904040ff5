"""``rankprompt retrieve``: candidates where there is no run yet."""

import dataclasses
from pathlib import Path
from typing import Any

import typer

from rankprompt.cli.console import print_json, progress_bar, show_imports, tell
from rankprompt.datasets.passages import FIELDS
from rankprompt.retrieval.first_stage import Retrieval

__all__ = ["retrieve"]


def retrieve(
    output: Path = typer.Option(
        ..., help="The run to write, in TREC form; its manifest lies beside it."
    ),
    dataset: str | None = typer.Option(None, help="As in rerank: a collection by name."),
    split: str | None = typer.Option(None, help="Of the dataset, such as dev or test."),
    queries: Path | None = typer.Option(
        None, help="In place of --dataset: TSV (id, tab, text), JSONL or TREC topics."
    ),
    docs: Path | None = typer.Option(
        None, help="In place of --dataset: JSONL (id; contents or text; title if any) or TSV."
    ),
    retriever: str = typer.Option(
        Retrieval.retriever,
        help="bm25; or lucene:DIR, an index from `rankprompt index`; or pyserini:NAME, one of "
        "Anserini's prebuilt indexes, which is downloaded.",
    ),
    depth: int = typer.Option(Retrieval.depth, help="Documents a query, at the most."),
    language: str = typer.Option(
        Retrieval.language,
        help="Of queries and documents, which decides what a word is: an ISO code such as en or "
        "zh, or none for words as they stand. auto: en or zh, by the letters of the queries.",
    ),
    k1: float = typer.Option(Retrieval.k1, help="How soon a repeated word counts no more."),
    b: float = typer.Option(Retrieval.b, help="How much a long document is marked down, 0 to 1."),
    fields: str | None = typer.Option(
        None,
        help=f"A document's fields to index, in this order; left out: {','.join(FIELDS)}.",
    ),
    index: Path | None = typer.Option(
        None,
        help="Where bm25's index is, or shall be, kept; left out: a place of its own in the cache.",
    ),
    limit: int | None = typer.Option(None, help="The first queries only."),
    as_json: bool = typer.Option(False, "--json", help="Print the manifest on stdout."),
    quiet: bool = typer.Option(False, "--quiet", help="No progress bar and no summary."),
) -> None:
    """Find candidates with BM25, in a collection or in an index of Lucene's.

    Writes a run, best first, which rerank and fuse read, and a manifest of how it was made. The
    collection is indexed at its first use; the index is made anew whenever the collection changes.
    """
    from rankprompt.retrieval.first_stage import retrieve as find

    given = locals()
    settings = Retrieval(**{one.name: given[one.name] for one in dataclasses.fields(Retrieval)})
    silent = quiet or as_json
    with show_imports(quiet=silent):
        manifest = find(settings, lambda what, total: progress_bar(what, total, quiet=silent))
    if as_json:
        print_json(manifest)
    elif not quiet:
        tell(_summary(output, manifest))


def _summary(output: Path, manifest: dict[str, Any]) -> str:
    parts = [f"{manifest['queries']:,} queries"]
    if "documents" in manifest:
        parts.append(f"{manifest['documents']:,} documents")
    parts.append(f"{manifest['candidates']:,} candidates")
    if manifest["queries_without_match"]:
        first = ", ".join(manifest["first_without_match"])
        parts.append(f"{manifest['queries_without_match']:,} queries find nothing, first: {first}")
    return f"{output}: {'; '.join(parts)}; {manifest['costs']['seconds']:.1f} s"
