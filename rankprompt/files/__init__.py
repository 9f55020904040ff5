"""The file formats of ranking, one module for each, and files that are written whole or not at all.

Read and write runs, qrels, topics, queries and documents with the functions below. The other
modules hold atomic files and folders, locks, the cache directory, JSON, TOML and manifests.
"""

from rankprompt.files.atomic_write import (
    Scratch,
    check_writable,
    write_atomically,
    write_together,
)
from rankprompt.files.queries_and_documents import read_documents, read_queries
from rankprompt.files.text_lines import read_lines
from rankprompt.files.trec_qrels import read_qrels
from rankprompt.files.trec_run import (
    RunNeedsReadingWholeError,
    format_run,
    iterate_run,
    read_run,
    write_run,
)

__all__ = [
    "RunNeedsReadingWholeError",
    "Scratch",
    "check_writable",
    "format_run",
    "iterate_run",
    "read_documents",
    "read_lines",
    "read_qrels",
    "read_queries",
    "read_run",
    "write_atomically",
    "write_run",
    "write_together",
]
