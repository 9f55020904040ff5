"""``rankprompt retrieve``: retrieves candidates with BM25."""

from pathlib import Path

import typer

from rankprompt.cli.console import print_json, progress_bar, show_imports, tell
from rankprompt.cli.dataset_options import Dataset, Docs, Queries, Split
from rankprompt.datasets.passages import FIELDS
from rankprompt.retrieval.first_stage import RetrievalConfig, RetrievalManifest

__all__ = ["retrieve"]


def retrieve(
    output: Path = typer.Option(
        ..., help="The run to write, in TREC format; its manifest is written beside it."
    ),
    dataset: Dataset = None,
    split: Split = None,
    queries: Queries = None,
    docs: Docs = None,
    retriever: str = typer.Option(
        RetrievalConfig.retriever,
        help="bm25; lucene:DIR, an index from `rankprompt index`; or pyserini:NAME, one of "
        "Anserini's prebuilt indexes, which is downloaded.",
    ),
    depth: int = typer.Option(
        RetrievalConfig.depth, help="The largest number of documents per query."
    ),
    language: str = typer.Option(
        RetrievalConfig.language,
        help="The language of queries and documents, which decides what a word is: an ISO code "
        "such as en or zh; none for no stop words and no stemming; or auto, which is en or zh, "
        "guessed from the letters of the queries.",
    ),
    k1: float = typer.Option(
        RetrievalConfig.k1,
        help="BM25's saturation of term frequencies, 0 or more; 0 ignores repetitions of a word.",
    ),
    b: float = typer.Option(
        RetrievalConfig.b, help="BM25's length normalisation, from 0 (none) to 1 (full)."
    ),
    fields: str | None = typer.Option(
        None,
        help="The fields of a document to index, in this order. "
        f"Default: {','.join(FIELDS)}; an index of Lucene has its own.",
    ),
    index: Path | None = typer.Option(
        None, help="The folder of bm25's index, built if missing. Default: a folder in the cache."
    ),
    limit: int | None = typer.Option(
        None, help="Take only the first LIMIT queries. Default: all queries."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print the manifest as JSON on stdout."),
    quiet: bool = typer.Option(False, "--quiet", help="Show no progress bar and no summary."),
) -> None:
    """Retrieve candidates with BM25, from a dataset or from an index of Lucene.

    Writes a run, best first, which rerank and fuse read, and a manifest of how it was made. A
    dataset is indexed at its first use, and again whenever its documents change.
    """
    from rankprompt.retrieval import first_stage

    config = RetrievalConfig(
        output=output,
        dataset=dataset,
        queries=queries,
        docs=docs,
        split=split,
        retriever=retriever,
        depth=depth,
        language=language,
        k1=k1,
        b=b,
        fields=fields,
        index=index,
        limit=limit,
    )
    silent = quiet or as_json
    with show_imports(quiet=silent):
        manifest = first_stage.retrieve(
            config, lambda what, total: progress_bar(what, total, quiet=silent)
        )
    if as_json:
        print_json(manifest)
    elif not quiet:
        tell(_summary(output, manifest))


def _summary(output: Path, manifest: RetrievalManifest) -> str:
    clauses = [f"{manifest['queries']:,} queries"]
    if "documents" in manifest:
        clauses.append(f"{manifest['documents']:,} documents")
    clauses.append(f"{manifest['candidates']:,} candidates")
    if unmatched := manifest["queries_without_match"]:
        first = ", ".join(manifest["first_without_match"])
        clauses.append(f"{unmatched:,} queries match no document, first: {first}")
    return f"{output}: {'; '.join(clauses)}; {manifest['costs']['seconds']:.1f} s"
