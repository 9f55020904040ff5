r"""BEIR (arXiv 2104.08663): folders of JSONL texts and TSV judgements, read and written.

A folder has ``corpus.jsonl`` (``_id``, ``title``, ``text``), ``queries.jsonl`` (``_id``, ``text``)
and ``qrels/SPLIT.tsv`` (``query-id``, ``corpus-id`` and ``score`` between tabs, with a header).
"""

import filecmp
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from rankprompt.datasets.base import Documents, Fields
from rankprompt.datasets.json_objects import Place
from rankprompt.datasets.open_documents import open_documents
from rankprompt.datasets.source_file import Source
from rankprompt.errors import FormatError, InputError, UnknownNameError
from rankprompt.files.queries_and_documents import Parse, check_id
from rankprompt.files.text_lines import read_lines
from rankprompt.files.unique_ids import gather_grades, gather_queries
from rankprompt.types import Qrels, Run

__all__ = ["BeirCollection", "open_collection", "recognise", "write_beir"]

_USUAL = "test"
_HEADER = ("query-id", "corpus-id", "score")
_NOT_FIELDS = ("_id", "metadata")
_SHAPE = "query-id<TAB>corpus-id<TAB>score"
_GRADE = re.compile("[+-]?[0-9]{1,18}")


def open_collection(where: str, *, split: str | None = None) -> "BeirCollection":
    """Opens a BEIR folder; arguments and errors as of ``BeirCollection``."""
    return BeirCollection(Path(where), split)


def recognise(path: Path) -> bool:
    """Whether a folder holds ``corpus.jsonl`` and ``queries.jsonl``, perhaps as gzip."""
    return all(_find(path, f"{part}.jsonl") is not None for part in ("corpus", "queries"))


class BeirCollection:
    """A split of a BEIR folder.

    Args:
        folder: any of its files may be gzip, named so or not.
        split: which file of ``qrels``, such as "dev"; None for "test", or else the only one. Of a
            folder without any judgements, None gives all queries.

    Raises:
        InputError: no such folder, a file is missing, or the split must be chosen; says which.
        UnknownNameError: the folder has no judgements of that split.
    """

    def __init__(self, folder: Path, split: str | None = None) -> None:
        self._folder = folder
        self._corpus = _require(folder, "corpus.jsonl")
        self._queries = _require(folder, "queries.jsonl")
        splits = _splits(folder)
        if split is None and splits:
            split = _choose(folder, splits)
        if split is not None and split not in splits:
            raise UnknownNameError("split", split, splits, f"It needs qrels/{split}.tsv.")
        self._qrels = None if split is None else splits[split]

    @property
    def name(self) -> str:
        """``beir:FOLDER``."""
        return f"beir:{self._folder}"

    @property
    def paths(self) -> tuple[Path, ...]:
        """The corpus, the queries, and the split's judgements if there are any."""
        files = (self._corpus, self._queries, self._qrels)
        return tuple(path for path in files if path is not None)

    @property
    def document_paths(self) -> tuple[Path, ...]:
        """The file of the documents."""
        return (self._corpus,)

    def queries(self) -> dict[str, str]:
        """Texts by query id, in the file's order: only those that the split judges.

        BEIR keeps the queries of all splits in one file; those of the others would be retrieved
        and reranked for nothing, and would count as failures in an evaluation.
        """
        queries = _read_queries(self._queries)
        judged = self.qrels()
        if judged is None:
            return queries
        for query in judged:
            if query not in queries:
                raise InputError(f"query {query} of {self._qrels} is not in {self._queries}")
        return {query: text for query, text in queries.items() if query in judged}

    def documents(self, wanted: Iterable[str] | None = None) -> Documents:
        """The corpus: ``text``, ``title`` and what else is a string, without ``metadata``."""
        return open_documents(Source(self._corpus, "beir-1", _detect), wanted)

    def qrels(self, kind: str = "graded") -> Qrels | None:
        """The split's grades; the same for both kinds."""
        del kind
        return None if self._qrels is None else _read_qrels(self._qrels)

    def run(self) -> Run | None:
        """None: BEIR has no candidates."""
        return None


def write_beir(
    folder: Path | str,
    queries: Mapping[str, str],
    documents: Iterable[tuple[str, Fields]],
    qrels: Qrels,
    split: str = _USUAL,
) -> None:
    """Writes a BEIR folder, whole or not at all.

    It reads back equal, but for queries without judgements: they are written, and no split has
    them. A document without a title gets an empty one, since BEIR's own tools ask for it.

    Args:
        folder: does not exist or is empty, or holds the same already.
        queries: texts by id.
        documents: ids with their fields, ``text`` among them; drawn once.
        qrels: grades by query id and document id.
        split: what to call the judgements.

    Raises:
        InputError: the folder holds something else or cannot be written; a document has no
            ``text``, or a field ``_id`` or ``metadata``.
        ValueError: an id is empty or holds white space, or a query of ``qrels`` has no grade.
    """
    target = Path(folder).resolve()
    made = target.with_name(f".rankprompt-{secrets.token_hex(8)}.tmp")
    try:
        made.mkdir()
        (made / "qrels").mkdir()
        _write(made / "queries.jsonl", _query_lines(queries))
        _write(made / "corpus.jsonl", _document_lines(documents))
        _write(made / "qrels" / f"{split}.tsv", _grade_lines(qrels))
        if target.is_dir() and not any(target.iterdir()):
            target.rmdir()
        if not target.exists():
            made.rename(target)
        elif not _same(made, target):
            raise InputError(f"{folder} holds something else; name a new folder, or empty it")
    except OSError as error:
        raise InputError(f"cannot write {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _find(folder: Path, name: str) -> Path | None:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    return None


def _require(folder: Path, name: str) -> Path:
    if not folder.is_dir():
        raise InputError(f"no folder {folder}; expected one with BEIR's corpus.jsonl")
    path = _find(folder, name)
    if path is None:
        raise InputError(f"no {name} in {folder}")
    return path


def _splits(folder: Path) -> dict[str, Path]:
    # Unpacked files come last, and so win.
    found = [*(folder / "qrels").glob("*.tsv.gz"), *(folder / "qrels").glob("*.tsv")]
    splits = {path.name.removesuffix(".gz").removesuffix(".tsv"): path for path in found}
    return dict(sorted(splits.items()))


def _choose(folder: Path, splits: Mapping[str, Path]) -> str:
    if _USUAL in splits:
        return _USUAL
    if len(splits) > 1:
        raise InputError(
            f"{folder} has no split {_USUAL!r}, but {', '.join(splits)}; choose one with --split"
        )
    return next(iter(splits))


def _detect(path: Path, number: int, line: str) -> Parse:
    del number, line

    def parse(number: int, line: str) -> tuple[str, dict[str, str]]:
        place = Place(path, number)
        record = place.parse(line)
        place.get_text(record, "text")
        return place.get_id(record, "_id"), place.get_fields(record, *_NOT_FIELDS)

    return parse


def _read_queries(path: Path) -> dict[str, str]:
    queries = gather_queries(path, _query_rows(path))
    if not queries:
        raise FormatError(path, None, "the file is empty; expected queries")
    return queries


def _query_rows(path: Path) -> Iterator[tuple[int, str, str]]:
    for number, line in read_lines(path):
        place = Place(path, number)
        record = place.parse(line)
        yield number, place.get_id(record, "_id"), place.get_text(record, "text")


def _read_qrels(path: Path) -> dict[str, dict[str, int]]:
    qrels = gather_grades(path, _read_rows(path))
    if not qrels:
        raise FormatError(path, None, f"the file has no judgements; expected {_SHAPE}")
    return qrels


def _read_rows(path: Path) -> Iterator[tuple[int, str, str, int]]:
    first = True
    for number, line in read_lines(path):
        columns = line.split("\t")
        if len(columns) != len(_HEADER):
            raise FormatError(path, number, f"expected {_SHAPE}, found {len(columns)} columns")
        # A file without a header, which BEIR's own reader would rob of its first judgement.
        header = first and tuple(columns) == _HEADER
        first = False
        if header:
            continue
        query, document, grade = columns
        if not _GRADE.fullmatch(grade):
            raise FormatError(
                path, number, f"expected a whole number as the score, found {grade!r}"
            )
        for name in (query, document):
            check_id(path, number, name)
        yield number, query, document, int(grade)


def _write(path: Path, lines: Iterable[str]) -> None:
    with path.open("x", encoding="utf-8", newline="\n") as file:
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())  # a crash after the rename must not leave an empty file


def _query_lines(queries: Mapping[str, str]) -> Iterator[str]:
    for name, text in queries.items():
        yield _line({"_id": _word(name), "text": text})


def _document_lines(documents: Iterable[tuple[str, Fields]]) -> Iterator[str]:
    for name, fields in documents:
        if "text" not in fields:
            raise InputError(f"document {name} has no text; its fields: {', '.join(fields)}")
        for key in _NOT_FIELDS:
            if key in fields:
                raise InputError(f"document {name} has a field {key}, which BEIR uses itself")
        yield _line({"_id": _word(name), "title": "", **fields})


def _grade_lines(qrels: Qrels) -> Iterator[str]:
    yield "\t".join(_HEADER) + "\n"
    for query, grades in qrels.items():
        if not grades:
            raise ValueError(f"query {query} has no grade; leave it out of the judgements")
        for document, grade in grades.items():
            yield f"{_word(query)}\t{_word(document)}\t{grade}\n"


def _line(record: Mapping[str, str]) -> str:
    return json.dumps(record, ensure_ascii=False) + "\n"


def _word(name: str) -> str:
    if name.split() != [name]:
        raise ValueError(f"the id {name!r} is empty or holds white space")
    return name


def _same(one: Path, other: Path) -> bool:
    names = [{path.relative_to(base) for path in base.rglob("*")} for base in (one, other)]
    return names[0] == names[1] and all(
        filecmp.cmp(one / name, other / name, shallow=False)
        for name in names[0]
        if (one / name).is_file()
    )
