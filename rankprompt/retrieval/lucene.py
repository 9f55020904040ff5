"""BM25 by Lucene, through Anserini: an index of a whole collection on disk, and searches in it."""

import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

from rankprompt.datasets.base import Fields
from rankprompt.datasets.passages import FIELDS, join_fields
from rankprompt.errors import InputError, UnknownNameError
from rankprompt.files import read_run
from rankprompt.files.atomic_folder import build_beside
from rankprompt.retrieval import anserini

__all__ = ["LANGUAGES", "build", "search"]

LANGUAGES = (
    "ar", "bn", "da", "de", "en", "es", "fa", "fi", "fr", "hi", "hu", "id", "it", "ja", "ko", "nl",
    "no", "pl", "pt", "ru", "sv", "te", "th", "tr", "uk", "zh",
)  # fmt: skip
"""Languages that Anserini has an analyser for; any other it would silently take for English."""

_PREBUILT = "pyserini:"
_ABOUT = "rankprompt.json"
_FORM = "rankprompt lucene index 1"
_BUFFER = 256  # megabytes; Anserini's 4096 would not fit a small machine's heap
_INDEXED = re.compile(r"Total ([\d,]+) documents indexed")
_EMPTY = re.compile(r" - empty: +([\d,]+)")


def build(
    documents: Iterable[tuple[str, Fields]],
    index: Path,
    *,
    language: str = "en",
    fields: Sequence[str] = FIELDS,
    threads: int = 1,
) -> dict[str, Any]:
    """Indexes a collection; the index is there as a whole or not at all.

    The documents pass through a temporary folder beside the index, as Anserini's JSONL. Documents
    whose fields are blank hold no word that could be found, and are counted, not indexed.

    Args:
        documents: ids and fields; read once. Only the ids are held in memory.
        index: the folder to make; it must not exist, or be empty.
        language: of the documents, which decides how words are made; one of ``LANGUAGES``.
        fields: the fields to index, joined as ``join_fields`` does.
        threads: how many files of documents are indexed at a time. Of more than one, the order of
            documents in the index is left to chance, which no ranking shows.

    Returns:
        What ``rankprompt.json`` in the index says: language, fields, counts of documents (indexed
        and blank, with the first blank ones' ids), a digest of ids and texts, versions.

    Raises:
        InputError: no Java or Anserini; the folder is taken or cannot be written; no document, or
            none with text; an id twice, or with whitespace; Anserini failed or indexed fewer
            documents than it was given.
    """
    if language not in LANGUAGES:
        raise UnknownNameError("language", language, LANGUAGES)
    if threads < 1:
        raise InputError(f"threads must be 1 or more, not {threads}")
    java, jar = anserini.find_java(), anserini.find_jar()  # before any document is read
    with _beside(index) as folder:
        written = _write(documents, folder / "documents", fields, threads)
        made, log = folder / "index", folder / "log"
        said = anserini.run(
            "io.anserini.index.IndexCollection",
            ["-collection", "JsonCollection", "-input", folder / "documents", "-index", made,
             "-language", language, "-threads", threads, "-memoryBuffer", _BUFFER],
            log,
        )  # fmt: skip
        indexed, empty = _count(_INDEXED, said), _count(_EMPTY, said)
        if indexed + empty != written.documents:
            problem = f"it indexed {indexed} of {written.documents - empty} documents"
            raise anserini.failure(problem, log)
        if not indexed:
            raise InputError(f"none of {empty} documents has text in {' or '.join(fields)}")
        about = {
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
        (made / _ABOUT).write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", "utf-8")
        made.replace(index)
    return about


def search(
    index: Path | str,
    queries: Mapping[str, str],
    *,
    depth: int = 1000,
    k1: float = 0.9,
    b: float = 0.4,
    language: str | None = None,
    timeout: float | None = None,
) -> dict[str, dict[str, float]]:
    """Ranks an index's documents by Lucene's BM25.

    A query is a bag of words: no character of it is syntax. Scores are as Anserini writes them:
    rounded to four decimals; equal ones are ordered by document id and told apart by a millionth
    each, so a long row of ties may go below zero.

    Args:
        index: a folder made by ``build`` or by Anserini, or ``pyserini:NAME``, one of Anserini's
            prebuilt indexes, which it downloads into its own cache (three attempts).
        queries: texts by query id.
        depth: documents a query, at the most.
        k1: how soon a repeated word counts no more; 0.9 and 0.4 are Anserini's settings.
        b: how much a long document is marked down, from 0 to 1.
        language: of the index; None for what the index says of itself, and English for a prebuilt
            one.
        timeout: seconds after which the search, download included, is given up.

    Returns:
        Scores by query and document, best first; all queries are there, in their order, those that
        find nothing with nothing.

    Raises:
        InputError: no Java or Anserini; no such index; its language is another or unknown; a
            setting out of range; a query of more than 1,024 different words; Anserini failed.
    """
    if depth < 1 or not k1 >= 0 or not 0 <= b <= 1:
        raise InputError(f"expected depth >= 1, k1 >= 0, 0 <= b <= 1, not {depth}, {k1:g}, {b:g}")
    where, language = _resolve(index, language)
    asked = list(queries)
    # Anserini's reader takes a row without text for a broken file.
    rows = [f"{place}\t{_line(queries[one])}\n" for place, one in enumerate(asked)
            if queries[one].strip()]  # fmt: skip
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="rankprompt-") as name:
        topics, output = Path(name, "topics.tsv"), Path(name, "run.trec")
        topics.write_text("".join(rows), "utf-8", newline="\n")
        if rows:
            anserini.run(
                "io.anserini.search.SearchCollection",
                ["-index", where, "-topics", topics, "-topicReader", "TsvString", "-output", output,
                 "-language", language, "-hits", depth, "-threads", os.cpu_count() or 1,
                 "-bm25", "-bm25.k1", k1, "-bm25.b", b],
                Path(name, "log"),
                timeout,
            )  # fmt: skip
        if output.exists() and output.stat().st_size:
            found = read_run(output)
    return {one: found.get(str(place), {}) for place, one in enumerate(asked)}


class _Written(NamedTuple):
    documents: int
    blank: list[str]
    digest: str


def _write(
    documents: Iterable[tuple[str, Fields]], folder: Path, fields: Sequence[str], files: int
) -> _Written:
    """Writes Anserini's JSONL, the documents going round the files in turn."""
    folder.mkdir()
    seen: set[str] = set()
    blank: list[str] = []
    digest = blake2b(digest_size=16)
    with ExitStack() as stack:
        shares = [
            stack.enter_context((folder / f"{place}.jsonl").open("w", encoding="utf-8"))
            for place in range(files)
        ]
        for name, texts in documents:
            if name.split() != [name]:
                raise InputError(f"a document's id must be one word without spaces, not {name!r}")
            if name in seen:
                raise InputError(f"document {name} is there twice")
            text = join_fields(name, texts, fields).text
            if not text.strip() and len(blank) < 10:
                blank.append(name)
            line = json.dumps({"id": name, "contents": text}) + "\n"
            shares[len(seen) % files].write(line)
            digest.update(line.encode())
            seen.add(name)
    if not seen:
        raise InputError("no documents to index")
    return _Written(len(seen), blank, digest.hexdigest())


@contextmanager
def _beside(index: Path) -> Iterator[Path]:
    """A temporary folder on the index's disk, so that the index appears by a rename."""
    try:
        if index.exists() and (not index.is_dir() or any(index.iterdir())):
            raise InputError(f"{index} exists already; remove it or name another folder")
        with build_beside(index.resolve()) as folder:
            yield folder
    except OSError as error:
        raise InputError(f"cannot write {index}: {error.strerror or error}") from error


def _resolve(index: Path | str, language: str | None) -> tuple[str, str]:
    """What Anserini calls the index, and its language."""
    if language is not None and language not in LANGUAGES:
        raise UnknownNameError("language", language, LANGUAGES)
    if isinstance(index, str) and index.startswith(_PREBUILT):
        return index.removeprefix(_PREBUILT), language or "en"
    folder = Path(index)
    if not any(folder.glob("segments_*")):
        raise InputError(f"{folder} is not a Lucene index; make one with: rankprompt index")
    try:
        own = json.loads((folder / _ABOUT).read_text("utf-8"))["language"]
    except (OSError, ValueError, KeyError, TypeError):
        own = language
    if own is None:
        raise InputError(f"{folder} does not say its language ({_ABOUT}); give --language")
    if language not in (None, own):
        raise InputError(f"{folder} was indexed as {own!r}, not {language!r}")
    return str(folder.resolve()), own


def _line(text: str) -> str:
    """A query as a column of Anserini's table, half a surrogate pair as a question mark."""
    return re.sub(r"[\t\r\n]+", " ", text).encode(errors="replace").decode()


def _count(pattern: re.Pattern[str], log: str) -> int:
    told = pattern.search(log)
    return int(told[1].replace(",", "")) if told else 0
