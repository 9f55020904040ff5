"""A run that grows while its queries are judged, in whatever order they are done."""

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence

from rankprompt.files import format_run
from rankprompt.rankers.reranking import insert_reranked
from rankprompt.types import Run

__all__ = ["GrowingRun"]


class GrowingRun:
    """Writes each query as soon as it and all before it are done, in the first stage's order.

    Args:
        write: takes the run's text, piece by piece.
        tag: the run's name.

    Attributes:
        queries: how many have been written.
    """

    def __init__(self, write: Callable[[str], object], tag: str) -> None:
        self._write, self._tag = write, tag
        self._order: deque[str] = deque()
        self._first_stage: dict[str, Sequence[str]] = {}
        self._done: dict[str, Sequence[str]] = {}
        self.queries = 0

    def expect(self, first_stage: Run, reranked: Collection[str]) -> None:
        """Takes in the next queries of the first stage.

        Args:
            first_stage: scores by query and document, best first.
            reranked: the queries whose rankings will be kept; all others stay as they are.
        """
        self._order.extend(first_stage)
        for query, scores in first_stage.items():
            kept = self._first_stage if query in reranked else self._done
            kept[query] = list(scores)
        self._write_ready()

    def keep(self, rankings: Mapping[str, Sequence[str]]) -> None:
        """Takes in rankings of queries that were expected, in any order."""
        for query, ranking in rankings.items():
            self._done[query] = insert_reranked(self._first_stage.pop(query), ranking)
        self._write_ready()

    def _write_ready(self) -> None:
        while self._order and self._order[0] in self._done:
            query = self._order.popleft()
            self._write(format_run({query: self._done.pop(query)}, self._tag))
            self.queries += 1
