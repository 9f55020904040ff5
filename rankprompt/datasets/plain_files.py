"""A collection of single files: queries and documents as TSV or JSONL, TREC qrels and run."""

from collections.abc import Iterable
from pathlib import Path

from rankprompt.datasets.base import Documents
from rankprompt.datasets.open_documents import open_documents
from rankprompt.datasets.source_file import Source
from rankprompt.files.queries_and_documents import read_queries
from rankprompt.files.trec_qrels import read_qrels
from rankprompt.files.trec_run import read_run
from rankprompt.types import Qrels, Run

__all__ = ["PlainCollection"]


class PlainCollection:
    """Files that the user names one by one.

    JSONL documents have the fields ``text`` (from ``contents`` or ``text``), ``title`` and every
    other key that holds a string; TSV documents have ``text`` alone.

    Args:
        queries: TSV, JSONL or TREC topics, as in ``read_queries``.
        docs: TSV or JSONL, as in ``read_documents``.
        qrels: TREC qrels, if there are any.
        run: TREC run, if there is one.
    """

    def __init__(
        self, queries: Path, docs: Path, *, qrels: Path | None = None, run: Path | None = None
    ) -> None:
        self._queries, self._docs, self._qrels, self._run = queries, docs, qrels, run

    @property
    def name(self) -> str:
        """The documents' file."""
        return str(self._docs)

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files."""
        files = (self._queries, self._docs, self._qrels, self._run)
        return tuple(path for path in files if path is not None)

    @property
    def document_paths(self) -> tuple[Path, ...]:
        """The file of the documents."""
        return (self._docs,)

    def queries(self) -> dict[str, str]:
        """Texts by query id, in the file's order."""
        return read_queries(self._queries)

    def documents(self, wanted: Iterable[str] | None = None) -> Documents:
        """The documents."""
        return open_documents(Source(self._docs), wanted)

    def qrels(self, kind: str = "graded") -> Qrels | None:
        """Relevance grades; the same for both kinds."""
        del kind
        return None if self._qrels is None else read_qrels(self._qrels)

    def run(self) -> Run | None:
        """The candidates."""
        return None if self._run is None else read_run(self._run)
