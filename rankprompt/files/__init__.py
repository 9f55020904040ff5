"""Reading and writing the files of a ranking: runs, qrels, queries and documents."""

from rankprompt.files.atomic import (
    Scratch,
    check_writable,
    write_atomically,
    write_together,
)
from rankprompt.files.candidates import build_candidates, read_candidates
from rankprompt.files.lines import read_lines
from rankprompt.files.qrels import read_qrels
from rankprompt.files.runs import (
    RunNeedsReadingWholeError,
    format_run,
    iterate_run,
    read_run,
    write_run,
)
from rankprompt.files.texts import read_documents, read_queries

__all__ = [
    "RunNeedsReadingWholeError",
    "Scratch",
    "build_candidates",
    "check_writable",
    "format_run",
    "iterate_run",
    "read_candidates",
    "read_documents",
    "read_lines",
    "read_qrels",
    "read_queries",
    "read_run",
    "write_atomically",
    "write_run",
    "write_together",
]
