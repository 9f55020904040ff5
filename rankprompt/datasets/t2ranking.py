"""T2Ranking (arXiv 2304.03679), from its official files.

Ids are whole numbers. Any of the files may start with a header, told by an id column that is named
(``pid``) where an id would be a number; anything else that is no number there is an error. Nothing
is quoted.

Passages hold remains of markup: a ``<br>``, in whatever spelling, becomes a line break, and an
``<img ...>`` is left out. All else stays as it is, character references such as ``&amp;`` too, and
so do queries. A passage without any text stays a blank document.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from rankprompt.datasets.base import Documents
from rankprompt.datasets.open_documents import open_documents
from rankprompt.datasets.source_file import Source
from rankprompt.datasets.t2ranking_tables import is_header, parse_number, read_pairs, read_ranks
from rankprompt.errors import FormatError, InputError, UnknownNameError
from rankprompt.files.queries_and_documents import Parse
from rankprompt.files.unique_ids import gather_queries
from rankprompt.types import Qrels, Run

__all__ = ["T2RankingCollection", "clean", "open_collection", "recognise"]

_BREAK = re.compile(r"<\s*/?\s*br\s*/?\s*>", re.IGNORECASE)
_IMAGE = re.compile(r"<\s*/?\s*img(?:\s[^<>]*)?/?\s*>", re.IGNORECASE)
_EXPECTED = "expected number<TAB>text"


def open_collection(where: str, *, split: str | None = None) -> "T2RankingCollection":
    """Opens a folder with T2Ranking's files.

    Args:
        where: the folder.
        split: "train", "dev" or "test"; None for "dev".

    Raises:
        InputError: no such folder, or files are missing; says which.
        UnknownNameError: the folder has no queries of that split.
    """
    return T2RankingCollection(Path(where), split or "dev")


def recognise(path: Path) -> bool:
    """Whether a folder holds ``collection.tsv`` and queries of a split."""
    return _find(path, "collection.tsv") is not None and bool(_splits(path))


class T2RankingCollection:
    """A split of T2Ranking.

    Args:
        folder: has ``collection.tsv`` and ``queries.SPLIT.tsv``; if they are there,
            ``qrels.SPLIT.tsv`` (grades 0 to 3), ``qrels.retrieval.SPLIT.tsv`` (binary) and
            ``SPLIT.bm25.tsv`` (candidates). Any of them may be gzip, named so or not.
        split: which of its splits.

    Raises:
        InputError: files are missing; says which.
        UnknownNameError: the folder has no queries of that split.
    """

    def __init__(self, folder: Path, split: str) -> None:
        if not folder.is_dir():
            raise InputError(f"no folder {folder}; expected one with T2Ranking's collection.tsv")
        self._folder, self._split = folder, split
        splits = _splits(folder)
        if not splits:
            raise InputError(f"no queries.SPLIT.tsv in {folder}, such as queries.dev.tsv")
        if split not in splits:
            raise UnknownNameError("split", split, splits, f"It needs queries.{split}.tsv.")
        self._texts = self._require("collection.tsv")
        self._queries = self._require(f"queries.{split}.tsv")
        self._graded = _find(folder, f"qrels.{split}.tsv")
        self._binary = _find(folder, f"qrels.retrieval.{split}.tsv")
        self._candidates = _find(folder, f"{split}.bm25.tsv")

    @property
    def name(self) -> str:
        """``t2ranking:FOLDER``."""
        return f"t2ranking:{self._folder}"

    @property
    def paths(self) -> tuple[Path, ...]:
        """The split's files that are there."""
        files = (self._texts, self._queries, self._graded, self._binary, self._candidates)
        return tuple(path for path in files if path is not None)

    @property
    def document_paths(self) -> tuple[Path, ...]:
        """The file of the documents."""
        return (self._texts,)

    def queries(self) -> dict[str, str]:
        """Texts by query id, in the file's order."""
        records = Source(self._queries, "t2ranking", _detect_queries).records()
        return gather_queries(
            self._queries, ((line, name, fields["text"]) for line, name, fields in records)
        )

    def documents(self, wanted: Iterable[str] | None = None) -> Documents:
        """The passages, each with the field ``text``."""
        return open_documents(Source(self._texts, "t2ranking-1", _detect_passages), wanted)

    def qrels(self, kind: str = "graded") -> Qrels | None:
        """Grades 0 to 3, or the binary judgements that retrieval is measured with."""
        if kind == "binary":
            return None if self._binary is None else read_pairs(self._binary)
        return None if self._graded is None else read_pairs(self._graded, graded=True)

    def run(self) -> Run | None:
        """The candidates of ``SPLIT.bm25.tsv``, best first."""
        return None if self._candidates is None else read_ranks(self._candidates)

    def _require(self, name: str) -> Path:
        path = _find(self._folder, name)
        if path is None:
            raise InputError(f"no {name} in {self._folder}")
        return path


def clean(text: str) -> str:
    r"""A passage without its markup: ``<br>`` is ``\n``, ``<img ...>`` nothing."""
    if "<" not in text:
        return text
    return _IMAGE.sub("", _BREAK.sub("\n", text))


def _find(folder: Path, name: str) -> Path | None:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    return None


def _splits(folder: Path) -> list[str]:
    names = (path.name.removesuffix(".gz") for path in folder.glob("queries.*.tsv*"))
    found = (re.fullmatch(r"queries\.([^.]+)\.tsv", name) for name in names)
    return sorted({one[1] for one in found if one})


def _detect_queries(path: Path, number: int, line: str) -> Parse:
    return _detect(path, number, line, cleaned=False)


def _detect_passages(path: Path, number: int, line: str) -> Parse:
    return _detect(path, number, line, cleaned=True)


def _detect(path: Path, number: int, line: str, *, cleaned: bool) -> Parse:
    header = number if is_header(line.split("\t")) else None

    def parse(number: int, line: str) -> tuple[str, dict[str, str]] | None:
        if number == header:
            return None
        name, tab, text = line.partition("\t")
        if not tab:
            raise FormatError(path, number, f"{_EXPECTED}, found no tab")
        return parse_number(path, number, name), {"text": clean(text) if cleaned else text}

    return parse
