"""Collections that ir_datasets knows (https://ir-datasets.com), its own and registered ones.

TSV files and qrels that a user has registered, as ``ir_datasets.create_dataset`` does, are read by
our own readers: those of ir_datasets keep a copy of the documents beside the user's file, go on
reading it after the file has changed, and split lines at carriage returns.
"""

import importlib
import logging
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from rankprompt.datasets.base import Documents, Fields
from rankprompt.datasets.ir_datasets_documents import IrDocuments
from rankprompt.datasets.ir_datasets_library import guarded, library
from rankprompt.datasets.open_documents import open_documents
from rankprompt.datasets.source_file import Source
from rankprompt.errors import FormatError, InputError, UnknownNameError
from rankprompt.files.queries_and_documents import Parse, check_id
from rankprompt.files.trec_qrels import read_qrels
from rankprompt.files.unique_ids import gather_queries
from rankprompt.types import Qrels, Run

__all__ = ["IrCollection", "open_collection", "register"]

log = logging.getLogger("rankprompt")

_NEAR = 5
_QUERY_TEXTS = ("text", "query", "title")


def open_collection(where: str, *, split: str | None = None) -> "IrCollection":
    """Opens a collection of ir_datasets.

    Args:
        where: its id, such as ``beir/scifact/test``; or ``MODULE:ID``, where a Python module
            registers it: that is imported first, and its function ``register``, if it has one,
            called without arguments.
        split: a last part of the id: split "test" of ``beir/scifact`` is ``beir/scifact/test``.

    Raises:
        InputError: ir_datasets or the module cannot be imported.
        UnknownNameError: no such id; near ones are offered.
    """
    module, _, ident = where.rpartition(":")
    if split is not None:
        ident = f"{ident}/{split}"
    name = f"ir:{module}:{ident}" if module else f"ir:{ident}"
    return IrCollection(name, _load(name, module, ident))


def register(
    ident: str, *, docs: Path | str, queries: Path | str, qrels: Path | str | None = None
) -> None:
    """Registers a user's files with ir_datasets, for this process.

    Args:
        ident: a new id; ``open_collection("ir:IDENT")`` opens them.
        docs: TSV of id and text.
        queries: TSV of id and text.
        qrels: TREC qrels.

    Raises:
        InputError: a file is not there, or the id is taken.
    """
    for path in (docs, queries, qrels):
        # ir_datasets would make the folders of a path that is mistyped.
        if path is not None and not Path(path).is_file():
            raise InputError(f"no file {path} to register as {ident}")
    ir = library()
    with guarded(f"ir:{ident}"):
        ir.registry.register(ident, ir.create_dataset(docs, queries, qrels))


class IrCollection:
    """A collection of ir_datasets; a part is downloaded when it is first asked for.

    Args:
        name: what the user called it, with ``ir:``.
        dataset: what ``ir_datasets.load`` gives.
    """

    def __init__(self, name: str, dataset: Any) -> None:
        self._name, self._dataset = name, dataset

    @property
    def name(self) -> str:
        """``ir:ID`` or ``ir:MODULE:ID``."""
        return self._name

    @property
    def paths(self) -> tuple[Path, ...]:
        """The user's own TSV files and qrels; none that ir_datasets downloads and checks."""
        files = (self._own_file(part) for part in ("docs", "queries", "qrels"))
        return tuple(path for path in files if path is not None)

    @property
    def document_paths(self) -> tuple[Path, ...]:
        """The file of the documents, where it is one of the user's own."""
        return tuple(path for path in [self._own_file("docs")] if path is not None)

    def queries(self) -> dict[str, str]:
        """Texts by query id, in the collection's order.

        A query's text is what ir_datasets calls its default text, such as a topic's title. Where it
        has none, it is the field ``text``, ``query`` or ``title``; the log says which.
        """
        self._require("queries")
        path = self._own_file("queries")
        if path is not None:
            return _read_queries(path)
        text_of = self._query_text()
        queries: dict[str, str] = {}
        with guarded(self._name):
            for query in self._dataset.queries_iter():
                name, text = query.query_id, text_of(query)
                self._check(name, text)
                if name in queries:
                    raise InputError(f"{self._name}: query {name} comes twice")
                queries[name] = text
        return queries

    def documents(self, wanted: Iterable[str] | None = None) -> Documents:
        """The documents: every field that holds a string, by its name.

        A document without a field ``text`` gets its default text as that, without the title that
        this starts with where ``title`` is a field of its own.
        """
        self._require("docs")
        path = self._own_file("docs")
        if path is not None:
            return open_documents(Source(path, "ir-tsv-1", _detect), wanted)
        return IrDocuments(self._name, self._dataset, self._fields)

    def qrels(self, kind: str = "graded") -> Qrels | None:
        """The grades, the same for both kinds.

        Of a pair that is judged more than once, such as for several facets of a topic, the last
        grade counts, as in ir_datasets; a warning counts the pairs whose grades differ.
        """
        del kind
        if not self._dataset.has_qrels():
            return None
        path = self._own_file("qrels")
        if path is not None:
            return read_qrels(path)
        qrels: dict[str, dict[str, int]] = {}
        differing = set()
        with guarded(self._name):
            for one in self._dataset.qrels_iter():
                grades, grade = qrels.setdefault(one.query_id, {}), int(one.relevance)
                if grades.get(one.doc_id, grade) != grade:
                    differing.add((one.query_id, one.doc_id))
                grades[one.doc_id] = grade
        if differing:
            log.warning(
                "%s: %d pairs have several grades; the last counts", self._name, len(differing)
            )
        return qrels

    def run(self) -> Run | None:
        """The collection's scored documents, best first; equal scores keep its order."""
        if not self._dataset.has_scoreddocs():
            return None
        run: dict[str, dict[str, float]] = {}
        with guarded(self._name):
            for one in self._dataset.scoreddocs_iter():
                scores = run.setdefault(one.query_id, {})
                if one.doc_id in scores:
                    twice = f"document {one.doc_id} of query {one.query_id}"
                    raise InputError(f"{self._name}: {twice} has two scores")
                scores[one.doc_id] = float(one.score)
        return {
            query: dict(sorted(scores.items(), key=lambda pair: -pair[1]))
            for query, scores in run.items()
        }

    def _require(self, part: str) -> None:
        if not self._dataset.has(part):
            there = filter(self._dataset.has, ("docs", "queries", "qrels", "scoreddocs"))
            raise InputError(f"{self._name} has no {part}; it has {', '.join(there)}")

    def _own_file(self, part: str) -> Path | None:
        """The user's file, where it is of a form that one of our readers reads."""
        if not self._dataset.has(part):
            return None
        formats = importlib.import_module("ir_datasets.formats")
        download = importlib.import_module("ir_datasets.util").LocalDownload
        handler = getattr(self._dataset, f"{part}_handler")()
        reader, attribute, record = {
            "docs": (formats.TsvDocs, "_dlc", formats.GenericDoc),
            "queries": (formats.TsvQueries, "_dlc", formats.GenericQuery),
            "qrels": (formats.TrecQrels, "_qrels_dlc", formats.TrecQrel),
        }[part]
        if type(handler) is not reader or getattr(handler, f"{part}_cls")() is not record:
            return None
        if getattr(handler, "_skip_first_line", False) or getattr(handler, "_format_3col", False):
            return None
        source = getattr(handler, attribute)
        return Path(source.path(force=False)) if isinstance(source, download) else None

    def _query_text(self) -> Callable[[Any], str]:
        kind = self._dataset.queries_cls()
        if hasattr(kind, "default_text"):
            return lambda query: str(query.default_text())
        key = next(filter(kind._fields.__contains__, _QUERY_TEXTS), None)
        if key is None:
            raise InputError(f"{self._name}: no text in queries of {', '.join(kind._fields)}")
        log.info("%s: a query's text is its field %s", self._name, key)
        return lambda query: str(getattr(query, key))

    def _fields(self, document: Any) -> tuple[str, Fields]:
        record = document._asdict()
        name = record.pop("doc_id")
        fields = {key: value for key, value in record.items() if isinstance(value, str)}
        if "text" not in fields:
            if not hasattr(document, "default_text"):
                raise InputError(f"{self._name}: document {name} has no text, only {list(record)}")
            text, title = document.default_text(), fields.get("title", "")
            fields["text"] = text[len(title) :].lstrip() if text.startswith(title) else text
        self._check(name, *fields.values())
        return name, fields

    def _check(self, name: str, *texts: str) -> None:
        if name.split() != [name]:
            raise InputError(f"{self._name}: the id {name!r} is no word, which TREC files need")
        try:
            "".join((name, *texts)).encode()
        except UnicodeEncodeError as error:
            raise InputError(
                f"{self._name}: half a surrogate pair in the text of {name}"
            ) from error


def _load(name: str, module: str, ident: str) -> Any:
    ir = library()
    with guarded(name):
        if module:
            extension = importlib.import_module(module)
            if ident not in ir.registry and hasattr(extension, "register"):
                extension.register()
        try:
            return ir.load(ident)
        except KeyError:
            known = sorted(ir.registry)
    near = get_close_matches(ident, known, n=_NEAR, cutoff=0.5)
    raise UnknownNameError(
        "collection of ir_datasets",
        ident,
        near or {one.partition("/")[0] for one in known},
        "All: https://ir-datasets.com. One that a module registers: ir:MODULE:ID.",
    )


def _read_queries(path: Path) -> dict[str, str]:
    records = Source(path, "ir-tsv-1", _detect).records()
    return gather_queries(path, ((line, name, fields["text"]) for line, name, fields in records))


def _detect(path: Path, number: int, line: str) -> Parse:
    del number, line

    def parse(number: int, line: str) -> tuple[str, dict[str, str]]:
        columns = line.split("\t")
        if len(columns) != 2:
            problem = f"expected 2 columns (id<TAB>text), found {len(columns)}"
            raise FormatError(path, number, problem)
        check_id(path, number, columns[0])
        return columns[0], {"text": columns[1]}

    return parse
