"""``rankprompt export``: a run or a collection in the form that another tool reads."""

from itertools import islice
from pathlib import Path

import typer

from rankprompt.cli.console import show_imports, tell

__all__ = ["export"]


def export(
    output: Path = typer.Option(
        ...,
        help="FILE.jsonl or FILE.json: rank_llm's requests, one a query with its candidates. Any "
        "other name: a BEIR folder, with all documents and the grades.",
    ),
    dataset: str | None = typer.Option(None, help="As in rerank: a collection by name."),
    split: str | None = typer.Option(None, help="Of the dataset, such as dev or test."),
    queries: Path | None = typer.Option(None, help="In place of a dataset: as in rerank."),
    docs: Path | None = typer.Option(None, help="In place of a dataset: as in rerank."),
    run: Path | None = typer.Option(
        None, help="For requests: the candidates, in TREC form. Left out: those of the dataset."
    ),
    qrels: Path | None = typer.Option(
        None, help="For a BEIR folder: the grades, in TREC form. Left out: those of the dataset."
    ),
    depth: int | None = typer.Option(None, help="For requests: the first DEPTH candidates."),
) -> None:
    """Write candidates as rank_llm's requests, or a collection as a BEIR folder."""
    from rankprompt.datasets import name_collection
    from rankprompt.datasets.beir import write_beir
    from rankprompt.datasets.rank_llm_requests import write_requests
    from rankprompt.errors import InputError
    from rankprompt.files import read_qrels, read_run

    if depth is not None and depth < 1:
        raise InputError(f"--depth must be at least 1, not {depth}")
    collection = name_collection(dataset, split, queries, docs)
    texts = collection.queries()
    with show_imports(quiet=False):
        if output.suffix.lower() in {".json", ".jsonl"}:
            found = read_run(run) if run else collection.run()
            if found is None:
                raise InputError(f"{collection.name} comes without candidates; give --run")
            cut = {query: dict(islice(scores.items(), depth)) for query, scores in found.items()}
            names = dict.fromkeys(name for scores in cut.values() for name in scores)
            write_requests(output, texts, cut, collection.documents(names))
            tell(f"{output}: {len(cut):,} requests")
            return
        grades = read_qrels(qrels) if qrels else collection.qrels()
        if grades is None:
            raise InputError(f"{collection.name} has no relevance grades; give --qrels")
        documents = collection.documents()
        write_beir(output, texts, iter(documents), grades, split or "test")
        tell(f"{output}: {len(texts):,} queries, {len(documents):,} documents")
