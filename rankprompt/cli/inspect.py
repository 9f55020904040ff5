"""``rankprompt inspect``: shows what a dataset and its candidates contain."""

from collections.abc import Iterator
from pathlib import Path

import typer

from rankprompt.cli.console import print_json, print_table, show_imports
from rankprompt.cli.dataset_options import Dataset, Docs, Queries, Split
from rankprompt.datasets.passages import FIELDS
from rankprompt.llm.embedded import EMBEDDED
from rankprompt.planning.inspection import DEPTHS, Inspection

__all__ = ["inspect"]

_DEFAULT_DEPTHS = ", ".join(map(str, DEPTHS))


def inspect(
    dataset: Dataset = None,
    split: Split = None,
    queries: Queries = None,
    docs: Docs = None,
    run: Path | None = typer.Option(
        None,
        help="Candidates in TREC format. Default: those that come with the dataset; if there are "
        "none, all documents are inspected.",
    ),
    qrels: Path | None = typer.Option(
        None, help="Relevance grades in TREC format. Default: those of the dataset."
    ),
    model: str = typer.Option(
        EMBEDDED,
        help="The model whose tokenizer counts the tokens: smollm2-135m, a local folder, a .gguf "
        "file or a hub id.",
    ),
    fields: str = typer.Option(
        ",".join(FIELDS), help="The fields of a document that make its passage, in this order."
    ),
    depth: list[int] | None = typer.Option(
        None,
        help="A depth at which to inspect the candidates; repeat the option for more. "
        f"Default: {_DEFAULT_DEPTHS}.",
    ),
    as_json: bool = typer.Option(False, "--json", help="Print the result as JSON on stdout."),
) -> None:
    """Show what a dataset and its candidates contain, and how far reranking can go.

    Counts, lengths in tokens, candidates without text, duplicate texts, shares of judged and
    relevant candidates by depth, and the ceiling: the nDCG@10 that a perfect judge would reach.
    """
    from rankprompt.datasets import name_collection
    from rankprompt.planning.inspection import inspect_dataset

    collection = name_collection(dataset, split, queries, docs)
    with show_imports(quiet=as_json):
        inspection = inspect_dataset(
            collection, run=run, qrels=qrels, model=model, fields=fields, depths=depth or DEPTHS
        )
    if as_json:
        print_json(inspection)
        return
    print_table(("", inspection["collection"]), list(_rows(inspection)))
    if "depths" in inspection:
        columns = ("depth", "judged", "relevant a query", "recall", "ceiling nDCG@10")
        rows = [
            [
                str(row["depth"]),
                f"{row['judged_share']:.1%}",
                f"{row['relevant']:.2f}",
                f"{row['recall']:.4f}",
                f"{row['ceiling']:.4f}",
            ]
            for row in inspection["depths"]
        ]
        print_table(columns, rows, texts=0)


def _rows(inspection: Inspection) -> Iterator[tuple[str, str]]:
    yield "queries", f"{inspection['queries']:,}"
    for label, count in (
        ("queries without text", inspection["blank_queries"]),
        ("documents", inspection["documents"]),
        ("documents among the candidates", inspection["candidate_documents"]),
        ("candidates that are no document", inspection["unknown_documents"]),
        ("documents without text", inspection["blank_documents"]),
        ("documents with another's text", inspection["doubled_texts"]),
    ):
        if count is not None:
            yield label, f"{count:,}"
    for noun, lengths in (
        ("a query", inspection["query_tokens"]),
        ("a document", inspection["document_tokens"]),
    ):
        if lengths:
            yield f"tokens of {noun}: mean, median", f"{lengths['mean']:.1f}, {lengths['median']:,}"
            yield f"tokens of {noun}: 95%, longest", f"{lengths['p95']:,}, {lengths['longest']:,}"
    if of_run := inspection.get("candidates"):
        yield "queries with candidates", f"{of_run['queries']:,}"
        span = f"{of_run['fewest']:,} to {of_run['most']:,}"
        yield "candidates a query", f"{span}, mean {of_run['mean']:.1f}"
        if of_run["queries_without_text"]:
            yield "candidates' queries without text", f"{of_run['queries_without_text']:,}"
        if of_run["queries_without_candidates"]:
            yield "queries without candidates", f"{of_run['queries_without_candidates']:,}"
    if grades := inspection.get("grades"):
        yield "queries with grades", f"{grades['queries']:,}"
        yield "of these, without a relevant document", f"{grades['queries_without_relevant']:,}"
        if grades["queries_without_text"]:
            yield "of these, without text", f"{grades['queries_without_text']:,}"
        if grades["unknown_documents"]:
            yield "judged documents that are no document", f"{grades['unknown_documents']:,}"
        counts = (f"{number:,} x {grade}" for grade, number in grades["by_grade"].items())
        yield "judged", ", ".join(counts)
