"""Datasets of ir_datasets (https://ir-datasets.com), built-in and registered ones.

TSV files and qrels that a user registers, as ``ir_datasets.create_dataset`` does, are read by our
own readers. Those of ir_datasets keep a copy of the documents beside the user's file, continue to
read the copy after the file has changed, and split lines at carriage returns.
"""

import importlib
import logging
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from pathlib import Path

from rankprompt.datasets.base import Documents, Fields
from rankprompt.datasets.document_file import DocumentFile
from rankprompt.datasets.documents import open_documents
from rankprompt.datasets.ir_datasets_documents import IrDocuments
from rankprompt.datasets.ir_datasets_library import IrDataset, IrRecord, guarded, library
from rankprompt.errors import FormatError, InputError, UnknownNameError
from rankprompt.files.json_objects import check_id
from rankprompt.files.queries_and_documents import LineParser
from rankprompt.files.text_lines import is_word
from rankprompt.files.trec_qrels import read_qrels
from rankprompt.types import Qrels, Run

__all__ = ["LAYOUT", "IrCollection", "open_collection", "recognise", "register"]

LAYOUT = ""

log = logging.getLogger("rankprompt")

_MAX_SUGGESTIONS = 5
_QUERY_TEXTS = ("text", "query", "title")


def open_collection(where: str, *, split: str | None = None) -> "IrCollection":
    """Opens a dataset of ir_datasets.

    Args:
        where: the dataset's id, such as ``beir/scifact/test``; or ``MODULE:ID`` if a Python module
            registers it. The module is imported first, and its function ``register``, if it has
            one, is called without arguments.
        split: the last component of the id: split "test" of ``beir/scifact`` is
            ``beir/scifact/test``.

    Raises:
        InputError: ir_datasets or the module cannot be imported.
        UnknownNameError: there is no such id; similar ones are suggested.
    """
    module, _, ident = where.rpartition(":")
    if split is not None:
        ident = f"{ident}/{split}"
    name = f"ir:{module}:{ident}" if module else f"ir:{ident}"
    return IrCollection(name, _load(name, module, ident))


def recognise(path: Path) -> bool:
    """Returns False: no path is a dataset of ir_datasets."""
    del path
    return False


def register(
    ident: str, *, docs: Path | str, queries: Path | str, qrels: Path | str | None = None
) -> None:
    """Registers a user's files with ir_datasets for this process.

    Args:
        ident: a new id, which ``open_collection("ir:IDENT")`` opens.
        docs: TSV of id and text.
        queries: TSV of id and text.
        qrels: TREC qrels.

    Raises:
        InputError: a file does not exist, or the id is taken.
    """
    for path in (docs, queries, qrels):
        # ir_datasets would create the folders of a mistyped path.
        if path is not None and not Path(path).is_file():
            raise InputError(f"no file {path} to register as {ident}")
    ir = library()
    with guarded(f"ir:{ident}"):
        ir.registry.register(ident, ir.create_dataset(docs, queries, qrels))


class IrCollection:
    """A dataset of ir_datasets, whose files are downloaded when they are first needed.

    Args:
        name: ``ir:ID`` or ``ir:MODULE:ID``, as the user wrote it.
        dataset: the dataset, from ``ir_datasets.load``.
    """

    def __init__(self, name: str, dataset: IrDataset) -> None:
        self.name, self._dataset = name, dataset

    @property
    def paths(self) -> tuple[Path, ...]:
        """The user's own TSV files and qrels, without the files that ir_datasets downloads."""
        files = (self._own_file(entity) for entity in ("docs", "queries", "qrels"))
        return tuple(path for path in files if path is not None)

    @property
    def document_paths(self) -> tuple[Path, ...]:
        """The file of the documents, if it is the user's own."""
        path = self._own_file("docs")
        return () if path is None else (path,)

    def queries(self) -> dict[str, str]:
        """Returns the query texts by id, in the dataset's order.

        A query's text is the default text of ir_datasets, such as a topic's title. If there is no
        default text, it is the field ``text``, ``query`` or ``title``, and the log says which.
        """
        self._require("queries")
        path = self._own_file("queries")
        if path is not None:
            return DocumentFile(path, "ir-tsv-2", _detect).read_queries()
        text_of = self._query_text()
        queries: dict[str, str] = {}
        with guarded(self.name):
            for query in self._dataset.queries_iter():
                name, text = query.query_id, text_of(query)
                self._check(name, text)
                if name in queries:
                    raise InputError(f"{self.name}: query {name} occurs twice")
                queries[name] = text
        return queries

    def documents(self, wanted: Iterable[str] | None = None) -> Documents:
        """Returns the documents with every field that holds a string.

        A document without a field ``text`` gets its default text as that field; if the default
        text starts with the title and ``title`` is a field, the title is removed from it.
        """
        self._require("docs")
        path = self._own_file("docs")
        if path is not None:
            return open_documents(DocumentFile(path, "ir-tsv-2", _detect), wanted)
        return IrDocuments(self.name, self._dataset, self._fields)

    def qrels(self, kind: str = "graded") -> Qrels | None:
        """Returns the grades, the same for both kinds.

        If a pair is judged more than once, for example for several facets of a topic, the last
        grade counts, as in ir_datasets. A warning counts the pairs with different grades.
        """
        del kind
        if not self._dataset.has("qrels"):
            return None
        path = self._own_file("qrels")
        if path is not None:
            return read_qrels(path)
        qrels: dict[str, dict[str, int]] = {}
        differing = set()
        with guarded(self.name):
            for qrel in self._dataset.qrels_iter():
                grades, grade = qrels.setdefault(qrel.query_id, {}), int(qrel.relevance)
                if grades.get(qrel.doc_id, grade) != grade:
                    differing.add((qrel.query_id, qrel.doc_id))
                grades[qrel.doc_id] = grade
        if differing:
            log.warning(
                "%s: %d pairs have several grades; the last counts", self.name, len(differing)
            )
        return qrels

    def run(self) -> Run | None:
        """Returns the dataset's scored documents, best first; equal scores keep their order."""
        if not self._dataset.has("scoreddocs"):
            return None
        run: dict[str, dict[str, float]] = {}
        with guarded(self.name):
            for scored in self._dataset.scoreddocs_iter():
                scores = run.setdefault(scored.query_id, {})
                if scored.doc_id in scores:
                    pair = f"document {scored.doc_id} of query {scored.query_id}"
                    raise InputError(f"{self.name}: {pair} has two scores")
                scores[scored.doc_id] = float(scored.score)
        return {
            query: dict(sorted(scores.items(), key=lambda pair: -pair[1]))
            for query, scores in run.items()
        }

    def _require(self, entity: str) -> None:
        if not self._dataset.has(entity):
            present = filter(self._dataset.has, ("docs", "queries", "qrels", "scoreddocs"))
            raise InputError(f"{self.name} has no {entity}; it has {', '.join(present)}")

    def _own_file(self, entity: str) -> Path | None:
        """Returns the user's file if one of our readers reads its format."""
        if not self._dataset.has(entity):
            return None
        formats = importlib.import_module("ir_datasets.formats")
        download = importlib.import_module("ir_datasets.util").LocalDownload
        handler = getattr(self._dataset, f"{entity}_handler")()
        reader, attribute, record = {
            "docs": (formats.TsvDocs, "_dlc", formats.GenericDoc),
            "queries": (formats.TsvQueries, "_dlc", formats.GenericQuery),
            "qrels": (formats.TrecQrels, "_qrels_dlc", formats.TrecQrel),
        }[entity]
        if type(handler) is not reader or getattr(handler, f"{entity}_cls")() is not record:
            return None
        if getattr(handler, "_skip_first_line", False) or getattr(handler, "_format_3col", False):
            return None
        source = getattr(handler, attribute)
        return Path(source.path(force=False)) if isinstance(source, download) else None

    def _query_text(self) -> Callable[[IrRecord], str]:
        record_type = self._dataset.queries_cls()
        if hasattr(record_type, "default_text"):
            return lambda query: _text(query.default_text())
        key = next(filter(record_type._fields.__contains__, _QUERY_TEXTS), None)
        if key is None:
            raise InputError(f"{self.name}: no text in queries of {', '.join(record_type._fields)}")
        log.info("%s: a query's text is its field %s", self.name, key)
        return lambda query: _text(getattr(query, key))

    def _fields(self, document: IrRecord) -> tuple[str, Fields]:
        record = document._asdict()
        name = str(record.pop("doc_id"))
        fields = {key: value for key, value in record.items() if isinstance(value, str)}
        if "text" not in fields:
            if not hasattr(document, "default_text"):
                raise InputError(f"{self.name}: document {name} has no text, only {list(record)}")
            text, title = _text(document.default_text()), fields.get("title", "")
            fields["text"] = text[len(title) :].lstrip() if text.startswith(title) else text
        self._check(name, *fields.values())
        return name, fields

    def _check(self, name: str, *texts: str) -> None:
        if not is_word(name):
            raise InputError(f"{self.name}: the id {name!r} is not one word, as TREC files require")
        try:
            "".join((name, *texts)).encode()
        except UnicodeEncodeError as error:
            raise InputError(f"{self.name}: half a surrogate pair in the text of {name}") from error


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _load(name: str, module: str, ident: str) -> IrDataset:
    ir = library()
    with guarded(name):
        if module:
            extension = importlib.import_module(module)
            if ident not in ir.registry and hasattr(extension, "register"):
                extension.register()
        try:
            dataset: IrDataset = ir.load(ident)
        except KeyError:
            known = sorted(ir.registry)
        else:
            return dataset
    similar = get_close_matches(ident, known, n=_MAX_SUGGESTIONS, cutoff=0.5)
    raise UnknownNameError(
        "dataset of ir_datasets",
        ident,
        similar or {known_id.partition("/")[0] for known_id in known},
        "All: https://ir-datasets.com. Write ir:MODULE:ID for an id that a module registers.",
    )


def _detect(path: Path, number: int, line: str) -> LineParser:
    del number, line

    def parse(number: int, line: str) -> tuple[str, dict[str, str]]:
        columns = line.split("\t")
        if len(columns) != 2:
            problem = f"expected 2 columns (id<TAB>text), found {len(columns)}"
            raise FormatError(path, number, problem)
        check_id(path, number, columns[0])
        return columns[0], {"text": columns[1]}

    return parse
