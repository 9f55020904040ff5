"""Writes a run while its queries are reranked, in whatever order they finish."""

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from hashlib import blake2b
from pathlib import Path

from rankprompt.files import Scratch, format_run, write_together
from rankprompt.files.manifest import manifest_path
from rankprompt.rankers.reranking import insert_reranked
from rankprompt.types import Run

__all__ = ["RunWriter"]

TAG = "rankprompt"


class RunWriter(AbstractContextManager["RunWriter"]):
    """Writes each query as soon as it and all queries before it are finished.

    The run appears at its path together with its manifest, when ``commit`` is called; otherwise an
    older file stays as it is.

    Args:
        path: the run's path.

    Attributes:
        queries: the number of queries written.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._scratch = path, Scratch(path)
        self._digest = blake2b(digest_size=16)
        self._order: deque[str] = deque()
        self._waiting: dict[str, Sequence[str]] = {}
        self._finished: dict[str, Sequence[str]] = {}
        self.queries = 0

    def __enter__(self) -> "RunWriter":
        """Opens a file beside the run's path."""
        self._scratch.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        """Removes that file where the run was not committed."""
        self._scratch.__exit__(*error)

    @property
    def digest(self) -> str:
        """The digest of the text written so far, by which a manifest knows its run."""
        return self._digest.hexdigest()

    def expect(self, first_stage: Run, reranked: Collection[str]) -> None:
        """Takes the next queries of the first stage.

        Args:
            first_stage: scores by query and document, best first.
            reranked: the queries whose rankings will follow; the others stay as they are.
        """
        self._order.extend(first_stage)
        for query, scores in first_stage.items():
            target = self._waiting if query in reranked else self._finished
            target[query] = list(scores)
        self._write_finished()

    def write(self, rankings: Mapping[str, Sequence[str]]) -> None:
        """Takes rankings (document ids, best first) of expected queries, in any order."""
        for query, ranking in rankings.items():
            self._finished[query] = insert_reranked(self._waiting.pop(query), ranking)
        self._write_finished()

    def commit(self, manifest: str) -> None:
        """Puts the run and its manifest in place, both or neither."""
        write_together({self._path: self._scratch, manifest_path(self._path): manifest})

    def _write_finished(self) -> None:
        while self._order and self._order[0] in self._finished:
            query = self._order.popleft()
            text = format_run({query: self._finished.pop(query)}, TAG)
            self._digest.update(text.encode())
            self._scratch.write(text)
            self.queries += 1
