"""A job's candidates: checked and counted before a token is spent, then given block by block."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TypeAlias

from rankprompt.cascade import Cascade, WindowConfig, load_student, model_offsets, word_offsets
from rankprompt.cascade.teachers import teacher_offsets
from rankprompt.datasets.base import Collection
from rankprompt.datasets.candidate_blocks import Block, candidates_of
from rankprompt.datasets.named_dataset import name_collection
from rankprompt.errors import InputError
from rankprompt.files import RunNeedsReadingWholeError, iterate_run, read_run
from rankprompt.pipeline.config import Job
from rankprompt.types import Candidates, Run

__all__ = ["BLOCK", "Supply"]

# Enough for full rounds, and of 100 passages each no more than 100 MB.
BLOCK = 1000

_Stream: TypeAlias = Run | Iterable[tuple[str, Mapping[str, float]]]


class Supply:
    """Reads a job's first stage and texts twice: once to check and count, once to give them.

    So what is malformed or missing is told before the model is asked anything, and a million
    queries need no more memory than a block of them. A single block is kept and not read again.

    Args:
        job: resolved.
        count: about how many comparisons so many documents will take.
        block: queries in a block, at the most.

    Attributes:
        collection: where the texts are from.
        queries: of the run that are taken.
        documents: candidates with text.
        skipped: candidates without text, left out.
        comparisons: about how many there will be.
        cascade: chooses passages of the documents, if the job asks for it.

    Raises:
        InputError: a part cannot be read, or there is none.
        MissingTextError: a candidate has no text, and the job does not skip such.
    """

    def __init__(self, job: Job, count: Callable[[int], int], *, block: int = BLOCK) -> None:
        self.collection: Collection = name_collection(
            job.dataset, job.split, job.queries, job.docs, run=job.run
        )
        self._job, self._block = job, block
        self.cascade = _open_cascade(job)
        self._whole = self._read_whole()
        self.queries = self.documents = self.skipped = self.comparisons = 0
        self._kept: list[Block] = []
        try:
            self._survey(count)
        except RunNeedsReadingWholeError:
            assert job.run is not None, "only a file is streamed"
            self._whole = read_run(job.run)
            self.queries = self.documents = self.skipped = self.comparisons = 0
            self._survey(count)

    def blocks(self) -> Iterator[Block]:
        """All blocks, in the first stage's order."""
        if len(self._kept) == self._blocks:
            return iter(self._kept)
        # Not one more: at a stream's end its warnings would be told again.
        return islice(self._draw(self.queries), self._blocks)

    def parts(self, on_block: Callable[[Block], None]) -> Iterator[list[Candidates]]:
        """The candidates of each block; ``on_block`` hears of the block before."""
        for block in self.blocks():
            on_block(block)
            if block.candidates:
                yield self.shorten(block.candidates)

    def shorten(self, candidates: list[Candidates]) -> list[Candidates]:
        """Candidates with the passages that the job's cascade chooses; as they are without one.

        A teacher is shown them whole: it is asked about each passage.
        """
        return self.cascade(candidates) if self.cascade and not self._job.teacher else candidates

    def _read_whole(self) -> Run | None:
        """The run, where it is no file that could be streamed twice."""
        path = self._job.run
        if path is not None:
            return None if Path(path).is_file() else read_run(path)
        found = self.collection.run()
        if found is None:
            raise InputError(
                f"{self.collection.name} comes without candidates; give --run, "
                "or make one with `rankprompt retrieve`"
            )
        return found

    def _survey(self, count: Callable[[int], int]) -> None:
        self._blocks = 0
        for block in self._draw(self._job.limit):
            self._blocks += 1
            self._kept = [block] if self._blocks == 1 else []
            self.queries += len(block.run)
            self.documents += sum(len(one.documents) for one in block.candidates)
            self.skipped += len(block.skipped)
            self.comparisons += sum(count(len(one.documents)) for one in block.candidates)

    def _draw(self, limit: int | None) -> Iterator[Block]:
        job = self._job
        stream: _Stream = self._whole if self._whole is not None else iterate_run(job.run or "")
        return candidates_of(
            self.collection,
            stream,
            depth=job.depth,
            limit=limit,
            skip_missing=job.skip_missing,
            fields=job.shown,
            block=self._block,
        )


def _open_cascade(job: Job) -> Cascade | None:
    if job.cascade is None:
        return None
    if job.teacher:
        offsets = teacher_offsets(job.teacher)
    elif job.oracle or job.server is not None:
        offsets = word_offsets  # they do not tell their tokens; words come near
    else:
        offsets = model_offsets(job.model)
    return Cascade(
        load_student(job.cascade, seed=job.seed),
        offsets,
        keep=job.keep,
        settings=WindowConfig(job.window, job.overlap, window_unit=job.window_unit),
        passage_tokens=job.passage_tokens,
    )
