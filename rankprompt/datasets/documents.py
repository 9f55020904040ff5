"""A file's documents: read into memory if the file is small, otherwise from the document store."""

from collections.abc import Iterable, Iterator, Mapping

from rankprompt.datasets.base import Documents, Fields
from rankprompt.datasets.document_file import DocumentFile
from rankprompt.datasets.document_store_import import open_store
from rankprompt.files.unique_ids import gather_documents

__all__ = ["IN_MEMORY", "MemoryDocuments", "open_documents", "read_into_memory"]

IN_MEMORY = 2**26
"""Files of fewer (uncompressed) bytes are read into memory and leave nothing in the cache."""


class MemoryDocuments:
    """Documents in memory.

    Args:
        fields: the documents' fields by id, in the collection's order.
    """

    def __init__(self, fields: Mapping[str, Fields]) -> None:
        self._fields = fields

    def get(self, ids: Iterable[str]) -> dict[str, Fields]:
        """Returns the documents with these ids, in their order; unknown ids are left out."""
        return {name: self._fields[name] for name in ids if name in self._fields}

    def __iter__(self) -> Iterator[tuple[str, Fields]]:
        return iter(self._fields.items())

    def __len__(self) -> int:
        return len(self._fields)


def open_documents(file: DocumentFile, wanted: Iterable[str] | None = None) -> Documents:
    """Opens a file's documents, in memory or in the document store.

    Args:
        file: the file.
        wanted: as in ``Collection.documents``.

    Raises:
        InputError: the file cannot be read, or the cache cannot be written.
        FormatError: a line is malformed, an id occurs twice with different texts, or the file is
            empty.
    """
    # A pipe can be read only once and has no size.
    if file.path.is_file() and file.size() >= IN_MEMORY:
        return open_store(file)
    return read_into_memory(file, wanted)


def read_into_memory(file: DocumentFile, wanted: Iterable[str] | None = None) -> MemoryDocuments:
    """Reads a file's documents into memory.

    Args:
        file: the file.
        wanted: the ids to keep; None keeps all. Lines of other documents are checked as well.

    Raises:
        InputError: the file cannot be read.
        FormatError: as in ``open_documents``.
    """
    return MemoryDocuments(gather_documents(file.path, file.records(), wanted))
