"""Indexes of Lucene, built by Anserini."""

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple, TypedDict

from rankprompt.datasets import open_collection
from rankprompt.datasets.base import Documents, Fields
from rankprompt.datasets.document_file import DocumentFile
from rankprompt.datasets.documents import open_documents
from rankprompt.datasets.passages import FIELDS, join_fields, parse_fields
from rankprompt.errors import InputError, UnknownNameError
from rankprompt.files.atomic_folder import build_beside
from rankprompt.files.text_lines import is_word
from rankprompt.retrieval import anserini
from rankprompt.types import Progress, no_progress

__all__ = ["DESCRIPTION", "LANGUAGES", "IndexDescription", "build", "index_dataset"]

LANGUAGES = (
    "ar", "bn", "da", "de", "en", "es", "fa", "fi", "fr", "hi", "hu", "id", "it", "ja", "ko", "nl",
    "no", "pl", "pt", "ru", "sv", "te", "th", "tr", "uk", "zh",
)  # fmt: skip
"""The languages of Anserini's analyzers; it silently treats any other language as English."""

DESCRIPTION = "rankprompt.json"
"""The file of an index that describes it."""
_FORM = "rankprompt lucene index 1"
_BUFFER = 256  # megabytes; Anserini's default of 4096 does not fit the heap of a small machine
_INDEXED = re.compile(r"Total ([\d,]+) documents indexed")
_EMPTY = re.compile(r" - empty: +([\d,]+)")
_PROGRESS_STEP = 1000


class IndexDescription(TypedDict):
    """What ``rankprompt.json`` in an index says: its settings, counts, digest and versions.

    ``documents`` counts the indexed documents, ``blank_documents`` those without text, and
    ``first_blank`` lists the ids of the first of these; ``blake2b`` is a digest of ids and texts.
    """

    form: str
    created: str
    language: str
    fields: list[str]
    documents: int
    blank_documents: int
    first_blank: list[str]
    blake2b: str
    java: str
    anserini: str


def index_dataset(
    output: Path,
    *,
    dataset: str | None = None,
    docs: Path | None = None,
    fields: str = ",".join(FIELDS),
    language: str = "en",
    threads: int | None = None,
    progress: Progress = no_progress,
) -> IndexDescription:
    """Indexes a dataset or a file of documents, as ``rankprompt index`` does.

    Args:
        output: the folder of the index, as in ``build``.
        dataset: the dataset, as in ``open_collection``; None if there is a file.
        docs: the file of the documents; None if there is a dataset.
        fields: names of the fields to index, separated by commas.
        language: as in ``build``.
        threads: as in ``build``; None for the number of cores.
        progress: opens a progress bar.

    Raises:
        InputError: neither or both of the dataset and the file are given; or as in ``build``.
    """
    chosen = parse_fields(fields)
    anserini.find_java(), anserini.find_jar()  # before the documents are opened
    if docs and not dataset:
        documents: Documents = open_documents(DocumentFile(docs))
    elif dataset and not docs:
        documents = open_collection(dataset).documents()
    else:
        raise InputError("give either `dataset` or `docs`")
    with progress("reading documents", len(documents)) as advance:

        def counted() -> Iterator[tuple[str, Fields]]:
            for count, document in enumerate(documents, start=1):
                yield document
                if count % _PROGRESS_STEP == 0:
                    advance(_PROGRESS_STEP)

        return build(
            counted(),
            output,
            language=language,
            fields=chosen,
            threads=os.cpu_count() or 1 if threads is None else threads,
        )


def build(
    documents: Iterable[tuple[str, Fields]],
    index: Path,
    *,
    language: str = "en",
    fields: Sequence[str] = FIELDS,
    threads: int = 1,
) -> IndexDescription:
    """Indexes documents; the index is written whole or not at all.

    The documents pass through a temporary folder beside the index, as Anserini's JSONL. Documents
    whose fields are blank are counted but not indexed.

    Args:
        documents: ids and fields, read once. Only the ids are kept in memory.
        index: the folder of the index, which does not exist or is empty.
        language: the language of the documents, one of ``LANGUAGES``; decides how texts are split.
        fields: the fields to index, joined as in ``join_fields``.
        threads: how many files of documents are indexed at the same time. With more than one, the
            order of the documents in the index is random, which does not affect rankings.

    Raises:
        InputError: there is no Java or Anserini; the folder is not empty or cannot be written;
            there is no document with text; an id occurs twice or contains white space; or Anserini
            failed, or indexed fewer documents than it was given.
    """
    if language not in LANGUAGES:
        raise UnknownNameError("language", language, LANGUAGES)
    if threads < 1:
        raise InputError(f"`threads` must be 1 or more, not {threads}")
    java, jar = anserini.find_java(), anserini.find_jar()  # before the documents are read
    with _build_beside(index) as folder:
        written = _write(documents, folder / "documents", fields, threads)
        built, log = folder / "index", folder / "log"
        output = anserini.run(
            "io.anserini.index.IndexCollection",
            ["-collection", "JsonCollection", "-input", folder / "documents", "-index", built,
             "-language", language, "-threads", threads, "-memoryBuffer", _BUFFER],
            log,
        )  # fmt: skip
        indexed, empty = _count(_INDEXED, output), _count(_EMPTY, output)
        if indexed + empty != written.documents:
            problem = f"it indexed {indexed} of {written.documents - empty} documents"
            raise anserini.failure(problem, log)
        if not indexed:
            raise InputError(f"none of {empty} documents has text in {' or '.join(fields)}")
        description: IndexDescription = {
            "form": _FORM,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "language": language,
            "fields": list(fields),
            "documents": indexed,
            "blank_documents": empty,
            "first_blank": written.blank,
            "blake2b": written.digest,
            "java": java.version,
            "anserini": jar.name,
        }
        text = json.dumps(description, indent=2, ensure_ascii=False)
        (built / DESCRIPTION).write_text(text + "\n", "utf-8")
        built.replace(index)
    return description


class _Written(NamedTuple):
    documents: int
    blank: list[str]
    digest: str


def _write(
    documents: Iterable[tuple[str, Fields]], folder: Path, fields: Sequence[str], files: int
) -> _Written:
    """Writes Anserini's JSONL, distributing the documents over the files in turn."""
    folder.mkdir()
    seen: set[str] = set()
    blank: list[str] = []
    digest = blake2b(digest_size=16)
    with ExitStack() as stack:
        opened = [
            stack.enter_context((folder / f"{number}.jsonl").open("w", encoding="utf-8"))
            for number in range(files)
        ]
        for name, texts in documents:
            if not is_word(name):
                raise InputError(f"a document's id must be one word without spaces, not {name!r}")
            if name in seen:
                raise InputError(f"document {name} occurs twice")
            text = join_fields(name, texts, fields).text
            if not text.strip() and len(blank) < 10:
                blank.append(name)
            line = json.dumps({"id": name, "contents": text}) + "\n"
            opened[len(seen) % files].write(line)
            digest.update(line.encode())
            seen.add(name)
    if not seen:
        raise InputError("no documents to index")
    return _Written(len(seen), blank, digest.hexdigest())


@contextmanager
def _build_beside(index: Path) -> Iterator[Path]:
    """Opens a temporary folder on the index's disk, so that a rename puts the index in place."""
    try:
        if index.exists() and (not index.is_dir() or any(index.iterdir())):
            raise InputError(f"{index} exists already; remove it or name another folder")
        with build_beside(index.resolve()) as folder:
            yield folder
    except OSError as error:
        raise InputError(f"cannot write {index}: {error.strerror or error}") from error


def _count(pattern: re.Pattern[str], log: str) -> int:
    match = pattern.search(log)
    return int(match[1].replace(",", "")) if match else 0
