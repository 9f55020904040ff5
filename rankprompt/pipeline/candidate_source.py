"""The source of a job's candidates: checked and counted first, then given block by block."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TypeAlias

from rankprompt.datasets import name_collection
from rankprompt.datasets.base import Collection
from rankprompt.datasets.candidates import Block, candidates_of
from rankprompt.errors import InputError
from rankprompt.files import RunNeedsReadingWholeError, iterate_run, read_run
from rankprompt.pipeline.job import RerankJob
from rankprompt.types import Run

__all__ = ["BLOCK", "CandidateSource"]

# Enough for full rounds; with 100 passages for each query, at most 100 MB.
BLOCK = 1000

_Stream: TypeAlias = Run | Iterable[tuple[str, Mapping[str, float]]]


class CandidateSource:
    """Reads a job's first stage and texts twice: once to check and count, once to give them.

    So a malformed or missing text is reported before the model is asked anything, and a million
    queries need no more memory than a block of them. A single block is kept and not read again.

    Args:
        job: a validated job.
        block: the most queries in a block.

    Attributes:
        dataset: has the texts.
        queries: the number of the run's queries that are taken.
        documents: the number of candidates with text.
        skipped: the number of candidates without text, which are left out.
        questions: about how many questions the method will ask.

    Raises:
        InputError: an input cannot be read, or there is none.
        MissingTextError: a candidate has no text, and the job does not skip such candidates.
    """

    def __init__(self, job: RerankJob, *, block: int = BLOCK) -> None:
        data = job.config.data
        self.dataset: Collection = name_collection(
            data.dataset, data.split, data.queries, data.docs, run=data.run
        )
        self._job, self._data, self._block = job, data, block
        self._whole_run = self._read_whole()
        self._kept: list[Block] = []
        try:
            self._survey()
        except RunNeedsReadingWholeError:
            assert data.run is not None, "only a file is streamed"
            self._whole_run = read_run(data.run)
            self._survey()

    def blocks(self) -> Iterator[Block]:
        """All blocks, in the first stage's order."""
        if len(self._kept) == self._blocks:
            return iter(self._kept)
        # No further block is drawn: at a stream's end its warnings would be repeated.
        return islice(self._draw(self.queries), self._blocks)

    def _read_whole(self) -> Run | None:
        """The run, where it is not a file that can be streamed twice."""
        path = self._data.run
        if path is not None:
            return None if Path(path).is_file() else read_run(path)
        run = self.dataset.run()
        if run is None:
            raise InputError(
                f"{self.dataset.name} comes without candidates; give `run`, "
                "or make one with `rankprompt retrieve`"
            )
        return run

    def _survey(self) -> None:
        self.queries = self.documents = self.skipped = self.questions = self._blocks = 0
        for block in self._draw(self._data.limit):
            self._blocks += 1
            self._kept = [block] if self._blocks == 1 else []
            self.queries += len(block.run)
            self.documents += sum(len(query.documents) for query in block.candidates)
            self.skipped += len(block.skipped)
            self.questions += sum(
                self._job.estimate(len(query.documents)) for query in block.candidates
            )

    def _draw(self, limit: int | None) -> Iterator[Block]:
        data = self._data
        stream: _Stream = (
            iterate_run(data.run or "") if self._whole_run is None else self._whole_run
        )
        return candidates_of(
            self.dataset,
            stream,
            depth=data.depth,
            limit=limit,
            skip_missing=data.skip_missing,
            fields=self._job.fields,
            block=self._block,
        )
