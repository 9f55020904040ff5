"""Writes a run while its queries are reranked, in whatever order they finish."""

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from hashlib import blake2b
from pathlib import Path

from rankprompt.files import Scratch, write_together
from rankprompt.files.manifest import manifest_path
from rankprompt.files.scores_file import SCORES_HEADER, ScoredDocument, format_query_scores
from rankprompt.files.trec_run import format_scores
from rankprompt.rankers.reranking import insert_reranked
from rankprompt.rankers.scores import DocumentScore, follow_ranking, strictly_decreasing
from rankprompt.types import Run

__all__ = ["RunWriter"]

TAG = "rankprompt"


class RunWriter(AbstractContextManager["RunWriter"]):
    """Writes each query as soon as it and all queries before it are finished.

    The run appears at its path together with its manifest and its table of scores, when ``commit``
    is called; otherwise older files stay as they are.

    Args:
        path: the run's path.
        scores: the path of the table of scores; None for none.
        threshold: documents with a lower score are left out; None keeps all.

    Attributes:
        queries: the number of queries written, with those that have no line.
        kept: the number of documents written.
        dropped: the number of documents left out.
        none_relevant: the queries that have no line, for all scores are below the threshold.
        not_judged: the queries that have no line, and about whose documents there is no answer.
    """

    def __init__(
        self, path: Path, *, scores: Path | None = None, threshold: float | None = None
    ) -> None:
        self._path, self._scores_path, self._threshold = path, scores, threshold
        with ExitStack() as stack:
            self._scratch = stack.enter_context(Scratch(path))
            self._scores = stack.enter_context(Scratch(scores)) if scores else None
            self._stack = stack.pop_all()
        self._digest = blake2b(digest_size=16)
        self._order: deque[str] = deque()
        self._waiting: dict[str, Sequence[str]] = {}
        self._finished: dict[str, dict[str, DocumentScore]] = {}
        self.queries = self.kept = self.dropped = 0
        self.none_relevant: list[str] = []
        self.not_judged: list[str] = []
        if self._scores:
            self._scores.write(SCORES_HEADER)

    def __enter__(self) -> "RunWriter":
        """Returns itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Discards what was not committed."""
        self._stack.close()

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
            if query in reranked:
                self._waiting[query] = list(scores)
            else:
                self._finished[query] = follow_ranking(list(scores), {})
        self._write_finished()

    def write(
        self,
        rankings: Mapping[str, Sequence[str]],
        scores: Mapping[str, Mapping[str, DocumentScore]],
    ) -> None:
        """Takes rankings of expected queries, in any order.

        Args:
            rankings: document ids, best first, by query id.
            scores: by query id and document id; documents without one were not judged.
        """
        for query, ranking in rankings.items():
            merged = insert_reranked(self._waiting.pop(query), ranking)
            self._finished[query] = follow_ranking(merged, scores.get(query, {}))
        self._write_finished()

    def commit(self, manifest: str) -> None:
        """Puts the run, its manifest and its table of scores in place, all or none."""
        texts: dict[Path, str | bytes | Scratch] = {self._path: self._scratch}
        if self._scores and self._scores_path:
            texts[self._scores_path] = self._scores
        write_together({**texts, manifest_path(self._path): manifest})

    def _write_finished(self) -> None:
        while self._order and self._order[0] in self._finished:
            query = self._order.popleft()
            self._write_query(query, self._finished.pop(query))
            self.queries += 1

    def _write_query(self, query: str, scores: Mapping[str, DocumentScore]) -> None:
        kept = {
            name: one
            for name, one in scores.items()
            if self._threshold is None or one.score >= self._threshold
        }
        self.kept += len(kept)
        self.dropped += len(scores) - len(kept)
        if scores and not kept:
            judged = any(one.value is not None for one in scores.values())
            (self.none_relevant if judged else self.not_judged).append(query)
        written = strictly_decreasing([one.score for one in kept.values()])
        text = format_scores(query, dict(zip(kept, written, strict=True)), TAG)
        self._digest.update(text.encode())
        self._scratch.write(text)
        if self._scores:
            rows = {
                name: ScoredDocument(rank, score, kept[name].value)
                for rank, (name, score) in enumerate(zip(kept, written, strict=True), start=1)
            }
            self._scores.write(format_query_scores(query, rows))
