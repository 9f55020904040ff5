r"""BEIR folders (arXiv 2104.08663) of JSONL texts and TSV judgements, read and written.

A folder has ``corpus.jsonl`` (``_id``, ``title``, ``text``), ``queries.jsonl`` (``_id``, ``text``)
and ``qrels/SPLIT.tsv`` (``query-id``, ``corpus-id`` and ``score``, separated by tabs, with a
header). A text that is null is a blank one.
"""

import filecmp
import json
import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from rankprompt.datasets.base import Documents, Fields
from rankprompt.datasets.document_file import SUFFIXES, DocumentFile, find_file, require_file
from rankprompt.datasets.documents import open_documents
from rankprompt.errors import FormatError, InputError, UnknownNameError
from rankprompt.files.atomic_folder import build_beside
from rankprompt.files.json_objects import JsonLocation, check_id
from rankprompt.files.queries_and_documents import (
    LineParser,
    check_first_line,
    get_text_or_blank,
)
from rankprompt.files.text_lines import is_word, read_lines
from rankprompt.files.trec_qrels import parse_grade
from rankprompt.files.unique_ids import gather_grades, gather_queries
from rankprompt.types import Qrels, Run

__all__ = ["LAYOUT", "BeirCollection", "open_collection", "recognise", "write_beir"]

LAYOUT = "a folder with corpus.jsonl and queries.jsonl"

_DEFAULT_SPLIT = "test"
_HEADER = ("query-id", "corpus-id", "score")
_NOT_FIELDS = ("_id", "metadata")
_NUMBER = re.compile(r"[+-]?\.?[0-9]|[+-]?(nan|inf)|$", re.IGNORECASE)
_MAX_NAMES = 3
_ROW = "query-id<TAB>corpus-id<TAB>score"

log = logging.getLogger("rankprompt")


def open_collection(where: str, *, split: str | None = None) -> "BeirCollection":
    """Opens a BEIR folder; arguments and errors are those of ``BeirCollection``."""
    return BeirCollection(Path(where), split)


def recognise(path: Path) -> bool:
    """Returns whether a folder has ``corpus.jsonl`` and ``queries.jsonl``, plain or compressed."""
    return all(find_file(path, name) for name in ("corpus.jsonl", "queries.jsonl"))


class BeirCollection:
    """A split of a BEIR folder.

    Args:
        folder: the folder; any of its files may be compressed, whatever its name.
        split: which file of ``qrels``, such as "dev"; None for "test", or else the only one. In a
            folder without any judgements, None takes all queries.

    Raises:
        InputError: the folder or a file does not exist, or the split must be chosen.
        UnknownNameError: the folder has no judgements of that split.
    """

    def __init__(self, folder: Path, split: str | None = None) -> None:
        if not folder.is_dir():
            raise InputError(f"no folder {folder}; expected one with BEIR's corpus.jsonl")
        self._corpus = require_file(folder, "corpus.jsonl")
        self._queries = require_file(folder, "queries.jsonl")
        splits = _splits(folder)
        if split is None and splits:
            split = _choose(folder, splits)
        if split is not None and split not in splits:
            raise UnknownNameError("split", split, splits, f"It needs qrels/{split}.tsv.")
        self._qrels = None if split is None else splits[split]
        self.name = f"beir:{folder}"
        self.document_paths = (self._corpus,)
        self.paths = (self._corpus, self._queries, *([self._qrels] if self._qrels else []))

    def queries(self) -> dict[str, str]:
        """Returns the texts of the queries that the split judges by id, in the file's order.

        BEIR keeps the queries of all splits in one file. Queries of other splits would be
        retrieved and reranked in vain, and would count as failures in an evaluation. A warning
        counts the judged queries that the file lacks.
        """
        queries = gather_queries(self._queries, _query_rows(self._queries))
        if not queries:
            raise FormatError(self._queries, None, "the file is empty; expected queries")
        judged = self.qrels()
        if judged is None:
            return queries
        found = {query: text for query, text in queries.items() if query in judged}
        absent = [query for query in judged if query not in queries]
        names = ", ".join(absent[:_MAX_NAMES]) + (", ..." if len(absent) > _MAX_NAMES else "")
        if not found:
            problem = f"none of {len(judged)} judged queries is in {self._queries}: {names}"
            raise FormatError(self._qrels or "", None, problem)
        if absent:
            log.warning(
                "%s: judged queries that %s lacks, left out: %d of %d, %s",
                self._qrels, self._queries, len(absent), len(judged), names,
            )  # fmt: skip
        return found

    def documents(self, wanted: Iterable[str] | None = None) -> Documents:
        """Returns the documents: ``text``, ``title`` and all other strings but ``metadata``."""
        return open_documents(DocumentFile(self._corpus, "beir-1", _detect), wanted)

    def qrels(self, kind: str = "graded") -> Qrels | None:
        """Returns the split's grades, the same for both kinds."""
        del kind
        if self._qrels is None:
            return None
        qrels = gather_grades(self._qrels, _grade_rows(self._qrels))
        if not qrels:
            raise FormatError(self._qrels, None, f"the file has no judgements; expected {_ROW}")
        return qrels

    def run(self) -> Run | None:
        """Returns None: BEIR has no candidates."""
        return None


def write_beir(
    folder: Path | str,
    queries: Mapping[str, str],
    documents: Iterable[tuple[str, Fields]],
    qrels: Qrels,
    split: str = _DEFAULT_SPLIT,
) -> None:
    """Writes a BEIR folder, whole or not at all.

    The folder reads back equal, except that queries without judgements are written but belong to
    no split. A document without a title gets an empty one, which BEIR's own tools require.

    Args:
        folder: the folder to write; it does not exist, is empty, or has the same content already.
        queries: texts by query id.
        documents: ids and fields, which include ``text``; read once.
        qrels: grades by query id and document id.
        split: the name of the judgements.

    Raises:
        InputError: the folder has other content or cannot be written; or a document has no
            ``text``, or has a field ``_id`` or ``metadata``.
        ValueError: an id is empty or contains white space, or a query of ``qrels`` has no grade.
    """
    target = Path(folder).resolve()
    try:
        with build_beside(target) as temporary:
            written = temporary / "beir"
            (written / "qrels").mkdir(parents=True)
            _write(written / "queries.jsonl", _query_lines(queries))
            _write(written / "corpus.jsonl", _document_lines(documents))
            _write(written / "qrels" / f"{split}.tsv", _grade_lines(qrels))
            if target.is_dir() and not any(target.iterdir()):
                target.rmdir()
            if not target.exists():
                written.rename(target)
            elif not _equal(written, target):
                raise InputError(f"{folder} has other content; name a new folder, or empty it")
    except OSError as error:
        raise InputError(f"cannot write {folder}: {error.strerror or error}") from error


def _splits(folder: Path) -> dict[str, Path]:
    splits: dict[str, Path] = {}
    for suffix in SUFFIXES:
        for path in (folder / "qrels").glob(f"*.tsv{suffix}"):
            splits.setdefault(path.name.removesuffix(f".tsv{suffix}"), path)
    return dict(sorted(splits.items()))


def _choose(folder: Path, splits: Mapping[str, Path]) -> str:
    if _DEFAULT_SPLIT in splits:
        return _DEFAULT_SPLIT
    if len(splits) > 1:
        raise InputError(
            f"{folder} has no split {_DEFAULT_SPLIT!r}, but {', '.join(splits)}; "
            "choose one with `split`"
        )
    return next(iter(splits))


def _detect(path: Path, number: int, line: str) -> LineParser:
    check_first_line(path, number, line)

    def parse(number: int, line: str) -> tuple[str, dict[str, str]]:
        location = JsonLocation(path, number)
        record = location.parse(line)
        name, text = location.get_id(record, "_id"), get_text_or_blank(location, record, "text")
        fields = location.get_fields(record, *_NOT_FIELDS)
        return name, fields if "text" in fields else {**fields, "text": text}

    return parse


def _query_rows(path: Path) -> Iterator[tuple[int, str, str]]:
    for number, line in read_lines(path):
        if number == 1:
            check_first_line(path, number, line)
        location = JsonLocation(path, number)
        record = location.parse(line)
        name = location.get_id(record, "_id")
        yield number, name, get_text_or_blank(location, record, "text")


def _grade_rows(path: Path) -> Iterator[tuple[int, str, str, int]]:
    first = True
    for number, line in read_lines(path):
        columns = line.split("\t")
        if len(columns) != len(_HEADER):
            raise FormatError(path, number, f"expected {_ROW}, found {len(columns)} columns")
        # BEIR's own reader would drop the first judgement of a file without a header. Headers are
        # spelled in many ways (query_id, qid; corpus_id, docid; score, relevance).
        # So the first line is one where its third column is no number.
        header = first and not _NUMBER.match(columns[2].strip("\"' "))
        first = False
        if header:
            continue
        query, document, text = columns
        grade = parse_grade(path, number, text.strip(), "score")
        for name in (query, document):
            check_id(path, number, name)
        yield number, query, document, grade


def _write(path: Path, lines: Iterable[str]) -> None:
    with path.open("x", encoding="utf-8", newline="\n") as file:
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())  # or a crash after the rename could leave an empty file


def _query_lines(queries: Mapping[str, str]) -> Iterator[str]:
    for name, text in queries.items():
        yield _line({"_id": _checked_id(name), "text": text})


def _document_lines(documents: Iterable[tuple[str, Fields]]) -> Iterator[str]:
    for name, fields in documents:
        if "text" not in fields:
            raise InputError(f"document {name} has no text; its fields: {', '.join(fields)}")
        for key in _NOT_FIELDS:
            if key in fields:
                raise InputError(f"document {name} has a field {key}, which BEIR reserves")
        yield _line({"_id": _checked_id(name), "title": "", **fields})


def _grade_lines(qrels: Qrels) -> Iterator[str]:
    yield "\t".join(_HEADER) + "\n"
    for query, grades in qrels.items():
        if not grades:
            raise ValueError(f"query {query} has no grade; leave it out")
        for document, grade in grades.items():
            yield f"{_checked_id(query)}\t{_checked_id(document)}\t{grade}\n"


def _line(record: Mapping[str, str]) -> str:
    return json.dumps(record, ensure_ascii=False) + "\n"


def _checked_id(name: str) -> str:
    if not is_word(name):
        raise ValueError(f"the id {name!r} is empty or holds white space")
    return name


def _equal(first: Path, second: Path) -> bool:
    names = [{path.relative_to(base) for path in base.rglob("*")} for base in (first, second)]
    return names[0] == names[1] and all(
        filecmp.cmp(first / name, second / name, shallow=False)
        for name in names[0]
        if (first / name).is_file()
    )
