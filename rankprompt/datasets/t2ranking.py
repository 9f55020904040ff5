"""T2Ranking (arXiv 2304.03679), read from its official files.

Ids are whole numbers. Each file may start with a header, which is recognised by the name of an id
column (``pid``) in place of a number; everything else that is not a number there is an error. No
column is quoted.

Passages contain remains of markup: a ``<br>`` in any spelling becomes a line break, and an
``<img ...>`` is deleted. Everything else is unchanged, including character references such as
``&amp;``, and so are queries. A passage without any text becomes a blank document.
"""

import re
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from rankprompt.datasets.base import Documents
from rankprompt.datasets.document_file import SUFFIXES, DocumentFile, find_file, require_file
from rankprompt.datasets.documents import open_documents
from rankprompt.datasets.t2ranking_tables import is_header, parse_number, read_pairs, read_ranks
from rankprompt.errors import FormatError, InputError, UnknownNameError
from rankprompt.files.queries_and_documents import LineParser
from rankprompt.types import Qrels, Run

__all__ = ["LAYOUT", "T2RankingCollection", "clean", "open_collection", "recognise"]

LAYOUT = "a folder with collection.tsv and queries.SPLIT.tsv"

_BREAK = re.compile(r"<\s*/?\s*br\s*/?\s*>", re.IGNORECASE)
_IMAGE = re.compile(r"<\s*/?\s*img(?:\s[^<>]*)?/?\s*>", re.IGNORECASE)


def open_collection(where: str, *, split: str | None = None) -> "T2RankingCollection":
    """Opens a folder with the files of T2Ranking.

    Args:
        where: the folder.
        split: "train", "dev" or "test"; None for "dev".

    Raises:
        InputError: the folder or a file does not exist.
        UnknownNameError: the folder has no queries of that split.
    """
    return T2RankingCollection(Path(where), split or "dev")


def recognise(path: Path) -> bool:
    """Returns whether a folder has ``collection.tsv`` and queries of a split."""
    return find_file(path, "collection.tsv") is not None and bool(_splits(path))


class T2RankingCollection:
    """A split of T2Ranking.

    Args:
        folder: the folder with ``collection.tsv`` and ``queries.SPLIT.tsv``; and optionally
            ``qrels.SPLIT.tsv`` (grades 0 to 3), ``qrels.retrieval.SPLIT.tsv`` (binary judgements)
            and ``SPLIT.bm25.tsv`` (candidates). Each file may be compressed, whatever its name.
        split: the split.

    Raises:
        InputError: the folder or a file does not exist.
        UnknownNameError: the folder has no queries of that split.
    """

    def __init__(self, folder: Path, split: str) -> None:
        if not folder.is_dir():
            raise InputError(f"no folder {folder}; expected one with T2Ranking's collection.tsv")
        splits = _splits(folder)
        if not splits:
            raise InputError(f"no queries.SPLIT.tsv in {folder}, such as queries.dev.tsv")
        if split not in splits:
            raise UnknownNameError("split", split, splits, f"It needs queries.{split}.tsv.")
        self._passages = require_file(folder, "collection.tsv")
        self._queries = require_file(folder, f"queries.{split}.tsv")
        self._graded = find_file(folder, f"qrels.{split}.tsv")
        self._binary = find_file(folder, f"qrels.retrieval.{split}.tsv")
        self._candidates = find_file(folder, f"{split}.bm25.tsv")
        files = (self._passages, self._queries, self._graded, self._binary, self._candidates)
        self.name = f"t2ranking:{folder}"
        self.paths = tuple(path for path in files if path is not None)
        self.document_paths = (self._passages,)

    def queries(self) -> dict[str, str]:
        """Returns the query texts by id, in the file's order."""
        detect = partial(_detect, cleaned=False)
        return DocumentFile(self._queries, "t2ranking", detect).read_queries()

    def documents(self, wanted: Iterable[str] | None = None) -> Documents:
        """Returns the passages, each with the field ``text``."""
        detect = partial(_detect, cleaned=True)
        return open_documents(DocumentFile(self._passages, "t2ranking-1", detect), wanted)

    def qrels(self, kind: str = "graded") -> Qrels | None:
        """Returns grades from 0 to 3, or the binary judgements for measures of retrieval."""
        if kind == "binary":
            return None if self._binary is None else read_pairs(self._binary)
        return None if self._graded is None else read_pairs(self._graded, graded=True)

    def run(self) -> Run | None:
        """Returns the candidates of ``SPLIT.bm25.tsv``, best first."""
        return None if self._candidates is None else read_ranks(self._candidates)


def clean(text: str) -> str:
    r"""Removes the markup of a passage: ``<br>`` becomes ``\n``, ``<img ...>`` is deleted."""
    if "<" not in text:
        return text
    return _IMAGE.sub("", _BREAK.sub("\n", text))


def _splits(folder: Path) -> list[str]:
    pattern = re.compile(rf"queries\.([^.]+)\.tsv({'|'.join(map(re.escape, SUFFIXES))})")
    matches = (pattern.fullmatch(path.name) for path in folder.glob("queries.*.tsv*"))
    return sorted({match[1] for match in matches if match})


def _detect(path: Path, number: int, line: str, *, cleaned: bool) -> LineParser:
    header = number if is_header(line.split("\t")) else None

    def parse(number: int, line: str) -> tuple[str, dict[str, str]] | None:
        if number == header:
            return None
        name, tab, text = line.partition("\t")
        if not tab:
            raise FormatError(path, number, "expected number<TAB>text, found no tab")
        return parse_number(path, number, name), {"text": clean(text) if cleaned else text}

    return parse
