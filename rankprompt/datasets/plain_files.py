"""A collection of single files: queries and documents as TSV or JSONL, TREC qrels and run."""

from collections.abc import Iterable
from pathlib import Path

from rankprompt.datasets.base import Documents
from rankprompt.datasets.document_file import DocumentFile
from rankprompt.datasets.documents import open_documents
from rankprompt.files.queries_and_documents import read_queries
from rankprompt.files.trec_qrels import read_qrels
from rankprompt.files.trec_run import read_run
from rankprompt.types import Qrels, Run

__all__ = ["PlainCollection"]


class PlainCollection:
    """Files that the user names individually.

    JSONL documents have the fields ``text`` (from ``contents`` or ``text``), ``title`` and every
    other key that holds a string; TSV documents have only ``text``.

    Args:
        queries: TSV, JSONL or TREC topics, as in ``read_queries``.
        docs: TSV or JSONL, as in ``read_documents``.
        qrels: TREC qrels; None if there are none.
        run: TREC run; None if there is none.
    """

    def __init__(
        self, queries: Path, docs: Path, *, qrels: Path | None = None, run: Path | None = None
    ) -> None:
        self._queries, self._docs, self._qrels, self._run = queries, docs, qrels, run
        self.name = str(docs)
        self.paths = tuple(path for path in (queries, docs, qrels, run) if path is not None)
        self.document_paths = (docs,)

    def queries(self) -> dict[str, str]:
        """Returns the query texts by id, in the file's order."""
        return read_queries(self._queries)

    def documents(self, wanted: Iterable[str] | None = None) -> Documents:
        """Returns the documents."""
        return open_documents(DocumentFile(self._docs), wanted)

    def qrels(self, kind: str = "graded") -> Qrels | None:
        """Returns the relevance grades, the same for both kinds."""
        del kind
        return None if self._qrels is None else read_qrels(self._qrels)

    def run(self) -> Run | None:
        """Returns the candidates."""
        return None if self._run is None else read_run(self._run)
