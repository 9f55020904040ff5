"""``rankprompt inspect``: look before you spend."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from rankprompt.cli.console import print_json, print_table, show_imports
from rankprompt.pipeline.config import Job

__all__ = ["inspect"]


def inspect(
    dataset: str | None = typer.Option(None, help="As in rerank: a collection by name."),
    split: str | None = typer.Option(None, help="Of the dataset, such as dev or test."),
    queries: Path | None = typer.Option(None, help="In place of a dataset: as in rerank."),
    docs: Path | None = typer.Option(None, help="In place of a dataset: as in rerank."),
    run: Path | None = typer.Option(
        None,
        help="Candidates, in TREC form. Left out: those of the dataset; where there are none, the "
        "documents as a whole are looked at.",
    ),
    qrels: Path | None = typer.Option(
        None, help="Relevance grades in TREC form. Left out: those of the dataset."
    ),
    model: str = typer.Option(Job.model, help="As in rerank; its tokenizer counts the tokens."),
    fields: str = typer.Option(Job.fields, help="As in rerank: what makes a passage."),
    depth: list[int] | None = typer.Option(
        None, help="Depths to look at; repeat the option. Left out: 10, 20, 50, 100, 1000."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Show what a collection and its candidates hold, and how far reranking can go.

    Counts, lengths in tokens, candidates without text, doubled texts, shares of judged and relevant
    candidates by depth, and the ceiling: the nDCG@10 that a perfect judge would reach there.
    """
    from rankprompt.datasets import name_collection
    from rankprompt.errors import InputError
    from rankprompt.eval import parse_measure, score
    from rankprompt.files import read_qrels, read_run
    from rankprompt.llm import token_counter
    from rankprompt.planning.inspection import DEPTHS, inspect_collection

    if any(one < 1 for one in depth or ()):
        raise InputError("--depth must be at least 1")
    collection = name_collection(dataset, split, queries, docs)
    ndcg = parse_measure("ndcg@10")
    with show_imports(quiet=as_json):
        found = inspect_collection(
            collection,
            read_run(run) if run else collection.run(),
            grades=read_qrels(qrels) if qrels else collection.qrels(),
            count=token_counter(model),
            measure=lambda ranked, truth: score(ranked, truth, [ndcg]).means[ndcg.name],
            depths=depth or DEPTHS,
            fields=tuple(fields.replace(",", " ").split()),
        )
    if as_json:
        print_json(found)
    else:
        _show(found)


def _show(found: dict[str, Any]) -> None:
    print_table(("", found["collection"]), list(_facts(found)))
    if "depths" in found:
        columns = ("depth", "judged", "relevant a query", "recall", "ceiling nDCG@10")
        rows = [
            [
                str(one["depth"]),
                f"{one['judged_share']:.1%}",
                f"{one['relevant']:.2f}",
                f"{one['recall']:.4f}",
                f"{one['ceiling']:.4f}",
            ]
            for one in found["depths"]
        ]
        print_table(columns, rows, texts=0)


def _facts(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "queries", f"{found['queries']:,}"
    for name, what in (
        ("blank_queries", "queries without text"),
        ("documents", "documents"),
        ("candidate_documents", "documents among the candidates"),
        ("unknown_documents", "candidates that are no document"),
        ("blank_documents", "documents without text"),
        ("doubled_texts", "documents with another's text"),
    ):
        if found[name] is not None:
            yield what, f"{found[name]:,}"
    for name, what in (("query_tokens", "a query"), ("document_tokens", "a document")):
        if one := found[name]:
            yield f"tokens of {what}: mean, median", f"{one['mean']:.1f}, {one['median']:,}"
            yield f"tokens of {what}: 95%, longest", f"{one['p95']:,}, {one['longest']:,}"
    if one := found.get("candidates"):
        yield "queries with candidates", f"{one['queries']:,}"
        yield "candidates a query", f"{one['fewest']:,} to {one['most']:,}, mean {one['mean']:.1f}"
        if one["queries_without_text"]:
            yield "candidates' queries without text", f"{one['queries_without_text']:,}"
        if one["queries_without_candidates"]:
            yield "queries without candidates", f"{one['queries_without_candidates']:,}"
    if one := found.get("grades"):
        yield "queries with grades", f"{one['queries']:,}"
        yield "of these, without a relevant document", f"{one['queries_without_relevant']:,}"
        yield "judged", ", ".join(f"{n:,} x {grade}" for grade, n in one["by_grade"].items())
