"""First-stage retrieval from files to files, as ``rankprompt retrieve`` does it."""

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import NotRequired, TypedDict, cast

from rankprompt.datasets import name_collection
from rankprompt.datasets.base import Collection
from rankprompt.datasets.passages import FIELDS, join_fields, parse_fields
from rankprompt.errors import InputError, UnknownNameError
from rankprompt.files.manifest import FileDescription, check_paths, describe_file, versions
from rankprompt.files.queries_and_documents import read_queries
from rankprompt.retrieval.analyzer import guess_language
from rankprompt.retrieval.bm25 import K1, B, Index
from rankprompt.retrieval.scored_run import RunCounts, Scored, write_scored_run
from rankprompt.types import Document, Progress, no_progress

__all__ = ["AUTO", "RetrievalConfig", "RetrievalManifest", "retrieve"]

AUTO = "auto"
_LUCENE, _PREBUILT = "lucene:", "pyserini:"
_MAX_NAMES = 10

log = logging.getLogger("rankprompt")


@dataclass(frozen=True)
class RetrievalConfig:
    """The configuration of a retrieval, with its defaults.

    Attributes:
        output: the run to write.
        dataset: the dataset, as in ``open_collection``; None if there are files.
        queries: the file of the queries.
        docs: the file of the documents.
        split: the dataset's split.
        retriever: "bm25", "lucene:DIR" or "pyserini:NAME".
        depth: the largest number of documents per query.
        language: one of ``analyzer.LANGUAGES``, or "auto" to guess it from the queries.
        k1: BM25's saturation of term frequencies, 0 or more.
        b: BM25's length normalisation, from 0 to 1.
        fields: names of the fields to index, separated by commas; None for ``passages.FIELDS``.
        index: the folder of the index; None for a folder in the cache.
        limit: the number of queries, from the first; None for all.
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
        """Whether our own index is searched, and not one of Lucene."""
        return self.retriever == "bm25"


class RetrievalManifest(TypedDict):
    """The manifest of a retrieval."""

    form: str
    created: str
    settings: dict[str, object]
    inputs: dict[str, object]
    versions: dict[str, str]
    documents: NotRequired[int]
    documents_without_words: NotRequired[int]
    queries: int
    queries_without_match: int
    first_without_match: list[str]
    candidates: int
    costs: dict[str, float]


def retrieve(config: RetrievalConfig, progress: Progress = no_progress) -> RetrievalManifest:
    """Retrieves candidates for each query, and writes the run and its manifest.

    Args:
        config: the configuration.
        progress: opens a progress bar.

    Returns:
        The manifest.

    Raises:
        RankpromptError: the input is unusable, or no query matches a document; nothing is written.
    """
    started = time.perf_counter()
    _check(config)
    collection = _open(config)
    all_queries = collection.queries() if collection else read_queries(config.queries or "")
    queries = dict(islice(all_queries.items(), config.limit))
    if blank := [name for name, text in queries.items() if not text.strip()]:
        names = ", ".join(blank[:_MAX_NAMES])
        log.warning("queries without text, which find nothing: %d, first: %s", len(blank), names)
    config = _resolve(config, queries)
    if config.bm25 and collection:
        index = _open_index(config, collection, progress)
        if index.without_words:
            log.warning(
                "documents without words, which are never found: %d of %d, first: %s",
                index.without_words,
                index.documents,
                ", ".join(index.first_without_words),
            )
        counts = {"documents": index.documents, "documents_without_words": index.without_words}
        scored: Scored = index.search(queries, config.depth)
    else:
        counts, scored = {}, _search_lucene(config, queries)

    def describe(run: RunCounts) -> tuple[RetrievalConfig, dict[str, object]]:
        if not run.candidates:
            raise InputError(
                f"none of {len(queries)} queries finds a document; is the language "
                f"{config.language!r} theirs?"
            )
        return config, {
            "inputs": _describe_inputs(config, collection),
            "versions": versions(("rankprompt", "bm25s", "PyStemmer", "numpy")),
            **counts,
            "queries": len(queries),
            "queries_without_match": len(run.unmatched),
            "first_without_match": run.unmatched[:_MAX_NAMES],
            "candidates": run.candidates,
            "costs": {"seconds": round(time.perf_counter() - started, 3)},
        }

    with progress("searching", len(queries)) as advance:
        tag = config.retriever.partition(":")[0]
        manifest = write_scored_run(config.output, tag, scored, advance, describe)
    return cast("RetrievalManifest", manifest)


def _check(config: RetrievalConfig) -> None:
    if not config.bm25:
        if not config.retriever.startswith((_LUCENE, _PREBUILT)):
            known = ("bm25", f"{_LUCENE}INDEX", f"{_PREBUILT}INDEX")
            raise UnknownNameError("retriever", config.retriever, known)
        for name in ("docs", "fields", "index"):
            if getattr(config, name):
                raise InputError(f"`{name}` goes with `retriever` bm25; Lucene's index has its own")
    for name, value in (("depth", config.depth), ("limit", config.limit)):
        if value is not None and value < 1:
            raise InputError(f"`{name}` must be at least 1, not {value}")
    _fields(config)
    check_paths(config.output, None, (config.queries, config.docs))


def _fields(config: RetrievalConfig) -> tuple[str, ...]:
    return FIELDS if config.fields is None else parse_fields(config.fields)


def _open(config: RetrievalConfig) -> Collection | None:
    """Opens the collection; an index of Lucene needs none but for the queries of a dataset."""
    if config.bm25 or config.dataset:
        return name_collection(config.dataset, config.split, config.queries, config.docs)
    if config.split:
        raise InputError("`split` goes with `dataset`")
    if not config.queries:
        raise InputError("give `queries`, or a `dataset` that has them")
    return None


def _resolve(config: RetrievalConfig, queries: Mapping[str, str]) -> RetrievalConfig:
    """Fills in the language and the fields; an index of Lucene records its own."""
    if config.bm25:
        config = replace(config, fields=",".join(_fields(config)))
    if config.language == AUTO and not config.retriever.startswith(_LUCENE):
        language = guess_language(queries.values())
        log.info("language %s, guessed from the queries (language=auto)", language)
        config = replace(config, language=language)
    return config


def _open_index(config: RetrievalConfig, collection: Collection, progress: Progress) -> Index:
    from rankprompt.retrieval.bm25_index import describe_source, open_index

    fields = _fields(config)

    def documents() -> Iterator[Document]:
        opened = collection.documents()
        with progress("indexing", len(opened)) as advance:
            for name, texts in opened:
                yield join_fields(name, texts, fields)
                advance(1)

    files = (config.docs,) if config.docs else collection.document_paths
    if all(path.is_file() or not path.exists() for path in files):
        source = describe_source(
            collection,
            files,
            language=config.language,
            fields=fields,
            k1=config.k1,
            b=config.b,
        )
        return open_index(source, documents, config.index)
    if config.index:
        raise InputError(f"{config.index}: an index of a pipe's documents cannot be recognised")
    return Index.build(documents(), language=config.language, k1=config.k1, b=config.b)


def _search_lucene(config: RetrievalConfig, queries: Mapping[str, str]) -> Scored:
    from rankprompt.retrieval.lucene_search import search

    name = config.retriever
    run = search(
        Path(name.removeprefix(_LUCENE)) if name.startswith(_LUCENE) else name,
        queries,
        depth=config.depth,
        k1=config.k1,
        b=config.b,
        language=None if config.language == AUTO else config.language,
    )
    return run.items()


def _describe_inputs(
    config: RetrievalConfig, collection: Collection | None
) -> dict[str, FileDescription | list[FileDescription]]:
    files = {"queries": config.queries, "docs": config.docs}
    inputs: dict[str, FileDescription | list[FileDescription]] = {
        name: describe_file(path) for name, path in files.items() if path and path.is_file()
    }
    if config.dataset and collection:
        inputs["dataset"] = [describe_file(path) for path in collection.paths]
    return inputs
