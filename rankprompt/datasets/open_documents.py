"""Chooses where a file's documents are kept: small ones in memory, big ones on disk."""

from collections.abc import Iterable

from rankprompt.datasets.base import Documents
from rankprompt.datasets.document_store_import import open_store
from rankprompt.datasets.documents_in_memory import read_into_memory
from rankprompt.datasets.source_file import Source

__all__ = ["IN_MEMORY", "open_documents"]

IN_MEMORY = 2**26
"""A file of fewer bytes (unpacked) is read into memory, and leaves nothing in the cache."""


def open_documents(source: Source, wanted: Iterable[str] | None = None) -> Documents:
    """Opens a file's documents.

    Args:
        source: the file.
        wanted: as ``Collection.documents``.

    Raises:
        InputError: the file cannot be read, or the cache cannot be written.
        FormatError: a malformed line, an id twice with different texts, or an empty file.
    """
    # What is no regular file, such as a pipe, can be read only once, and has no size.
    if source.path.is_file() and source.size() >= IN_MEMORY:
        return open_store(source)
    return read_into_memory(source, wanted)
