"""``rankprompt export``: writes a dataset in the format of another tool."""

from pathlib import Path

import typer

from rankprompt.cli.console import show_imports, tell
from rankprompt.cli.dataset_options import Dataset, Docs, Queries, Split

__all__ = ["export"]


def export(
    output: Path = typer.Option(
        ...,
        help="FILE.jsonl or FILE.json: rank_llm's requests, one for each query with its "
        "candidates. Any other name: a BEIR folder, with all documents and the grades.",
    ),
    dataset: Dataset = None,
    split: Split = None,
    queries: Queries = None,
    docs: Docs = None,
    run: Path | None = typer.Option(
        None,
        help="Candidates in TREC format, for requests. Default: those that come with the dataset.",
    ),
    qrels: Path | None = typer.Option(
        None,
        help="Relevance grades in TREC format, for a BEIR folder. Default: those of the dataset.",
    ),
    depth: int | None = typer.Option(
        None, help="For requests, take the first DEPTH candidates of each query. Default: all."
    ),
) -> None:
    """Write candidates as rank_llm's requests, or a dataset as a BEIR folder."""
    from rankprompt.datasets import name_collection
    from rankprompt.datasets.export import export_beir, export_requests, is_requests
    from rankprompt.files import read_qrels, read_run

    collection = name_collection(dataset, split, queries, docs)
    with show_imports(quiet=False):
        if is_requests(output):
            exported = export_requests(
                output, collection, read_run(run) if run else None, depth=depth
            )
            tell(f"{output}: {exported.queries:,} requests")
        else:
            exported = export_beir(
                output, collection, read_qrels(qrels) if qrels else None, split=split
            )
            tell(f"{output}: {exported.queries:,} queries, {exported.documents:,} documents")
