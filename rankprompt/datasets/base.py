"""The protocols of test collections and their documents, which every format implements."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Protocol, TypeAlias

from rankprompt.types import Qrels, Run

__all__ = ["Collection", "DatasetFormat", "Documents", "Fields"]

Fields: TypeAlias = Mapping[str, str]
"""A document's texts by field name, such as ``title`` and ``text``; every value is a string."""


class Documents(Protocol):
    """The documents of a collection by id, in memory or on disk."""

    def get(self, ids: Iterable[str]) -> dict[str, Fields]:
        """Returns the documents with these ids, in their order; unknown ids are left out."""

    def __iter__(self) -> Iterator[tuple[str, Fields]]:
        """Iterates over all ids and documents, in the collection's order."""

    def __len__(self) -> int:
        """Returns the number of documents."""


class Collection(Protocol):
    """A test collection: queries, documents, relevance grades and perhaps candidates.

    Nothing is read before its method is called. Every method raises an ``InputError`` if the files
    cannot be read or do not exist, unless it documents another meaning.
    """

    @property
    def name(self) -> str:
        """The name by which the user chose it, such as ``beir:DIR``."""

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files that it is read from; a run's manifest records them."""

    @property
    def document_paths(self) -> tuple[Path, ...]:
        """Those of the files that hold the documents, which several splits may share."""

    def queries(self) -> Mapping[str, str]:
        """Returns the query texts by id, in the collection's order."""

    def documents(self, wanted: Iterable[str] | None = None) -> Documents:
        """Returns the documents.

        Args:
            wanted: the only ids that will be used, so that documents read from a file into memory
                can be limited to them; None if every document may be used.
        """

    def qrels(self, kind: str = "graded") -> Qrels | None:
        """Returns the relevance grades; None if the collection has none.

        Args:
            kind: "graded", or "binary" for the separate judgements that a collection may have for
                measures of binary relevance (T2Ranking); all others return the same for both.
        """

    def run(self) -> Run | None:
        """Returns the candidates that come with the collection; None if there are none."""


class DatasetFormat(Protocol):
    """A module that opens the datasets of one format.

    Attributes:
        LAYOUT: the files by which the format is recognised, for messages; empty if its datasets
            are not paths.
    """

    LAYOUT: str

    def open_collection(self, where: str, *, split: str | None = None) -> Collection:
        """Opens a dataset by what follows the prefix of its name."""

    def recognise(self, path: Path) -> bool:
        """Returns whether a file or folder has this format."""
