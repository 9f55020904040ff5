"""What a collection is to the rest of the program, in whatever form it comes."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Protocol, TypeAlias

from rankprompt.types import Qrels, Run

__all__ = ["Collection", "Documents", "Fields"]

Fields: TypeAlias = Mapping[str, str]
"""A document's texts by field name, such as ``title`` and ``text``; every value is a string."""


class Documents(Protocol):
    """A collection's documents by id, in memory or on disk."""

    def get(self, ids: Iterable[str]) -> dict[str, Fields]:
        """The documents of these ids; unknown ids are left out."""

    def __iter__(self) -> Iterator[tuple[str, Fields]]:
        """All documents with their ids, in the collection's order."""

    def __len__(self) -> int:
        """How many documents there are."""


class Collection(Protocol):
    """Queries, documents, relevance grades and perhaps candidates; each is read when asked for.

    Every method raises an ``InputError`` where its part cannot be read, or is not there and no
    other meaning is stated.
    """

    @property
    def name(self) -> str:
        """What the user called it, such as ``beir:DIR``."""

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files that it is read from, for the record of how a run was made."""

    @property
    def document_paths(self) -> tuple[Path, ...]:
        """Of these, the files of its documents, which its splits may share."""

    def queries(self) -> Mapping[str, str]:
        """Texts by query id, in the collection's order."""

    def documents(self, wanted: Iterable[str] | None = None) -> Documents:
        """The documents.

        Args:
            wanted: ids, where only these will be asked for: a collection that is no more than a
                file may then keep these alone. None where all of them may be.
        """

    def qrels(self, kind: str = "graded") -> Qrels | None:
        """Relevance grades; None where the collection has none.

        Args:
            kind: "graded", or "binary" where the collection has judgements of its own for
                measures on binary relevance (T2Ranking); others give the graded ones for both.
        """

    def run(self) -> Run | None:
        """The candidates that come with the collection; None where none do."""
