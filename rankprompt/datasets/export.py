"""Writes a dataset in the format of another tool, as ``rankprompt export`` does."""

from itertools import islice
from pathlib import Path
from typing import NamedTuple

from rankprompt.datasets.base import Collection
from rankprompt.datasets.beir import write_beir
from rankprompt.datasets.rank_llm_requests import write_requests
from rankprompt.errors import InputError
from rankprompt.types import Qrels, Run

__all__ = ["Exported", "export_beir", "export_requests", "is_requests"]


class Exported(NamedTuple):
    """The numbers of queries and documents that were written."""

    queries: int
    documents: int


def is_requests(output: Path) -> bool:
    """Returns whether a file's name means rank_llm's requests, and not a BEIR folder."""
    return output.suffix.lower() in {".json", ".jsonl"}


def export_requests(
    output: Path, collection: Collection, run: Run | None, *, depth: int | None = None
) -> Exported:
    """Writes candidates as requests of rank_llm.

    Args:
        output: the file, as in ``write_requests``.
        collection: the collection with the texts.
        run: the candidates; None for those that come with the collection.
        depth: the largest number of candidates per query; None for all.

    Raises:
        InputError: there are no candidates; or as in ``write_requests``.
    """
    if depth is not None and depth < 1:
        raise InputError(f"`depth` must be at least 1, not {depth}")
    candidates = collection.run() if run is None else run
    if candidates is None:
        raise InputError(f"{collection.name} comes without candidates; give `run`")
    top = {query: dict(islice(scores.items(), depth)) for query, scores in candidates.items()}
    names = dict.fromkeys(name for scores in top.values() for name in scores)
    write_requests(output, collection.queries(), top, collection.documents(names))
    return Exported(len(top), len(names))


def export_beir(
    output: Path, collection: Collection, qrels: Qrels | None, *, split: str | None = None
) -> Exported:
    """Writes a collection as a BEIR folder.

    Args:
        output: the folder, as in ``write_beir``.
        collection: the collection.
        qrels: the relevance grades; None for those that come with the collection.
        split: the name of the judgements; None for "test".

    Raises:
        InputError: there are no relevance grades; or as in ``write_beir``.
    """
    grades = collection.qrels() if qrels is None else qrels
    if grades is None:
        raise InputError(f"{collection.name} has no relevance grades; give `qrels`")
    queries, documents = collection.queries(), collection.documents()
    write_beir(output, queries, documents, grades, split or "test")
    return Exported(len(queries), len(documents))
