"""Documents in memory."""

from collections.abc import Iterable, Iterator, Mapping

from rankprompt.datasets.base import Fields
from rankprompt.datasets.source_file import Source
from rankprompt.files.unique_ids import gather_documents

__all__ = ["MemoryDocuments", "read_into_memory"]


class MemoryDocuments:
    """Documents that a mapping holds.

    Args:
        fields: by id, in the collection's order.
    """

    def __init__(self, fields: Mapping[str, Fields]) -> None:
        self._fields = fields

    def get(self, ids: Iterable[str]) -> dict[str, Fields]:
        """The documents of these ids, in their order; unknown ids are left out."""
        return {name: self._fields[name] for name in ids if name in self._fields}

    def __iter__(self) -> Iterator[tuple[str, Fields]]:
        return iter(self._fields.items())

    def __len__(self) -> int:
        return len(self._fields)


def read_into_memory(source: Source, wanted: Iterable[str] | None = None) -> MemoryDocuments:
    """Reads a file of documents whole.

    Args:
        source: the file.
        wanted: the ids to keep; None keeps all. Lines of other documents are checked as well.

    Raises:
        InputError: the file cannot be read.
        FormatError: a malformed line, an id twice with different texts, or an empty file.
    """
    return MemoryDocuments(gather_documents(source.path, source.records(), wanted))
