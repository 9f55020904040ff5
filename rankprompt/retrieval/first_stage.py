"""One retrieval, from files to files: what ``rankprompt retrieve`` does."""

import dataclasses
import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from rankprompt.datasets import open_collection
from rankprompt.datasets.base import Collection
from rankprompt.datasets.passages import FIELDS, join_fields
from rankprompt.datasets.plain_files import PlainCollection
from rankprompt.errors import InputError, UnknownNameError
from rankprompt.files import Scratch, check_writable, read_queries, write_together
from rankprompt.files.manifest import describe_file, format_manifest, manifest_path, versions
from rankprompt.files.trec_run import format_scores
from rankprompt.retrieval.analyzer import guess_language
from rankprompt.retrieval.bm25 import K1, B, Index
from rankprompt.types import Document

__all__ = ["AUTO", "Retrieval", "retrieve"]

AUTO = "auto"
_LUCENE, _PREBUILT = "lucene:", "pyserini:"
_NAMED = 10

log = logging.getLogger("rankprompt")

_Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
_Found = Iterable[tuple[str, Mapping[str, float]]]


@dataclass(frozen=True)
class Retrieval:
    """The settings of a retrieval.

    The options of ``rankprompt retrieve`` explain them, and their defaults live here alone.
    """

    output: Path
    dataset: str | None = None
    queries: Path | None = None
    docs: Path | None = None
    split: str | None = None
    retriever: str = "bm25"
    depth: int = 1000
    language: str = AUTO
    k1: float = K1
    b: float = B
    fields: str | None = None
    index: Path | None = None
    limit: int | None = None

    @property
    def bm25(self) -> bool:
        """Whether the documents are searched here, and not in an index of Lucene's."""
        return self.retriever == "bm25"


def retrieve(
    settings: Retrieval, progress: _Progress = lambda *_: nullcontext(lambda _: None)
) -> dict[str, Any]:
    """Finds candidates for each query, and writes the run and its manifest.

    Args:
        settings: what to find where.
        progress: opened with a description and how many steps there will be; gives the function to
            call with the steps done.

    Returns:
        The manifest.

    Raises:
        RankpromptError: bad input, or no query finds a document; nothing is written then.
    """
    started = time.perf_counter()
    _check(settings)
    collection = _open(settings)
    queries = _queries(settings, collection)
    settings = _resolve(settings, queries)
    about, found = (_search_bm25 if settings.bm25 else _search_lucene)(
        settings, collection, queries, progress
    )
    empty: list[str] = []
    lines = 0
    with (
        Scratch(settings.output) as scratch,
        progress("searching", len(queries)) as advance,
    ):
        for query, scores in found:
            scratch.write(format_scores(query, scores, settings.retriever.partition(":")[0]))
            lines += len(scores)
            if not scores:
                empty.append(query)
            advance(1)
        if not lines:
            raise InputError(
                f"none of {len(queries)} queries finds a document; is the language "
                f"{settings.language!r} theirs?"
            )
        manifest = format_manifest(
            settings,
            {
                "inputs": _inputs(settings, collection),
                "versions": versions(("rankprompt", "bm25s", "PyStemmer", "numpy")),
                **about,
                "queries": len(queries),
                "queries_without_match": len(empty),
                "first_without_match": empty[:_NAMED],
                "candidates": lines,
                "costs": {"seconds": round(time.perf_counter() - started, 3)},
            },
        )
        write_together({settings.output: scratch, manifest_path(settings.output): manifest})
    written: dict[str, Any] = json.loads(manifest)
    return written


def _check(settings: Retrieval) -> None:
    named = (_LUCENE, _PREBUILT)
    if not settings.bm25 and not settings.retriever.startswith(named):
        known = ("bm25", *(f"{one}INDEX" for one in named))
        raise UnknownNameError("retriever", settings.retriever, known)
    if settings.dataset and (settings.queries or settings.docs):
        raise InputError("--dataset comes with queries and documents; leave out --queries, --docs")
    if settings.split and not settings.dataset:
        raise InputError("--split goes with --dataset")
    if not settings.bm25:
        for name in ("docs", "fields", "index"):
            if getattr(settings, name):
                raise InputError(f"--{name} goes with --retriever bm25; Lucene's index has its own")
    if not settings.dataset and not (settings.queries and (settings.docs or not settings.bm25)):
        needed = "--queries and --docs" if settings.bm25 else "--queries"
        raise InputError(f"give {needed}, or a --dataset that has them")
    if settings.fields is not None and not _fields(settings):
        raise InputError("--fields names no field; give some, as in title,text")
    for name in ("depth", "limit"):
        value = getattr(settings, name)
        if value is not None and value < 1:
            raise InputError(f"--{name} must be at least 1, not {value}")
    outputs = {path.resolve() for path in (settings.output, manifest_path(settings.output))}
    for path in (settings.queries, settings.docs):
        if path and path.resolve() in outputs:
            raise InputError(f"{path}: this input would be overwritten; name another --output")
    check_writable(settings.output)


def _fields(settings: Retrieval) -> tuple[str, ...]:
    if settings.fields is None:
        return FIELDS
    return tuple(settings.fields.replace(",", " ").split())


def _open(settings: Retrieval) -> Collection | None:
    if settings.dataset:
        return open_collection(settings.dataset, split=settings.split)
    if settings.queries and settings.docs:
        return PlainCollection(settings.queries, settings.docs)
    return None


def _queries(settings: Retrieval, collection: Collection | None) -> dict[str, str]:
    queries = collection.queries() if collection else read_queries(settings.queries or "")
    return dict(islice(queries.items(), settings.limit))


def _resolve(settings: Retrieval, queries: Mapping[str, str]) -> Retrieval:
    """Fills in the language and the fields; an index of Lucene's knows its own."""
    if settings.bm25:
        settings = dataclasses.replace(settings, fields=",".join(_fields(settings)))
    if settings.language == AUTO and not settings.retriever.startswith(_LUCENE):
        language = guess_language(queries.values())
        log.info("language %s, guessed from the queries; --language says another", language)
        settings = dataclasses.replace(settings, language=language)
    return settings


def _search_bm25(
    settings: Retrieval,
    collection: Collection | None,
    queries: Mapping[str, str],
    progress: _Progress,
) -> tuple[dict[str, Any], _Found]:
    from rankprompt.retrieval.bm25_index import describe_source, open_index

    assert collection is not None  # what _check makes sure of
    fields = _fields(settings)

    def documents() -> Iterator[Document]:
        opened = collection.documents()
        with progress("indexing", len(opened)) as advance:
            for name, texts in opened:
                yield join_fields(name, texts, fields)
                advance(1)

    files = (settings.docs,) if settings.docs else collection.document_paths
    making: dict[str, Any] = {"language": settings.language, "k1": settings.k1, "b": settings.b}
    if all(path.is_file() or not path.exists() for path in files):
        source = describe_source(collection, files, fields=fields, **making)
        index = open_index(source, documents, settings.index)
    elif settings.index:
        raise InputError(f"{settings.index}: what comes through a pipe cannot be known again")
    else:
        index = Index.build(documents(), **making)
    about = {"documents": index.documents, "documents_without_words": index.without_words}
    return about, index.search(queries, settings.depth)


def _search_lucene(
    settings: Retrieval,
    collection: Collection | None,
    queries: Mapping[str, str],
    progress: _Progress,
) -> tuple[dict[str, Any], _Found]:
    from rankprompt.retrieval.lucene import search

    del collection, progress
    where = settings.retriever
    run = search(
        Path(where.removeprefix(_LUCENE)) if where.startswith(_LUCENE) else where,
        queries,
        depth=settings.depth,
        k1=settings.k1,
        b=settings.b,
        language=None if settings.language == AUTO else settings.language,
    )
    return {}, run.items()


def _inputs(settings: Retrieval, collection: Collection | None) -> dict[str, Any]:
    files = {"queries": settings.queries, "docs": settings.docs}
    inputs: dict[str, Any] = {
        name: describe_file(path) for name, path in files.items() if path and path.is_file()
    }
    if settings.dataset and collection:
        inputs["dataset"] = [describe_file(path) for path in collection.paths]
    return inputs
