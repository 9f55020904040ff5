"""Joins a run with a collection's texts, a block of queries at a time."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import NamedTuple, TypeAlias

from rankprompt.datasets.base import Collection, Documents
from rankprompt.datasets.candidates import (
    check_extent,
    describe_missing,
    join_texts,
    require_queries,
    warn_without,
)
from rankprompt.datasets.passages import FIELDS, join_fields
from rankprompt.errors import MissingTextError
from rankprompt.types import Candidates, Run

__all__ = ["BLOCK", "Block", "candidates_of"]

BLOCK = 64
"""Queries whose texts are in memory at a time."""

_Scores: TypeAlias = Mapping[str, float]


class Block(NamedTuple):
    """Some of a run's queries with their texts.

    ``run`` holds their scores, at full depth; ``candidates`` and ``skipped`` are as of
    ``build_candidates``, for these queries.
    """

    run: dict[str, _Scores]
    candidates: list[Candidates]
    skipped: list[tuple[str, str]]


def candidates_of(
    collection: Collection,
    run: Run | Iterable[tuple[str, _Scores]],
    *,
    depth: int | None = None,
    limit: int | None = None,
    skip_missing: bool = False,
    fields: Sequence[str] = FIELDS,
    block: int = BLOCK,
) -> Iterator[Block]:
    """Gives the documents of a run, and its queries, their texts, block by block.

    As ``build_candidates``, but what it finds missing it tells of the block it is in, when the
    block is drawn. The warning of queries without candidates comes after the last block; queries
    that a stream's limit cuts off are not counted.

    Args:
        collection: has the texts.
        run: the first stage's scores, a query's documents best first; or a stream of its queries,
            as of ``iterate_run``.
        depth: as in ``build_candidates``.
        limit: as in ``build_candidates``.
        skip_missing: as in ``build_candidates``.
        fields: of a document, to make its passage of, as in ``join_fields``.
        block: queries in a block.

    Raises:
        InputError: ``depth`` or ``limit`` is below 1; a query of the run has no text, or a document
            none of the fields; the collection cannot be read.
        MissingTextError: a document is unknown or blank, and ``skip_missing`` is off.
    """
    check_extent(depth, limit)
    queries = collection.queries()
    wanted = None
    if isinstance(run, Mapping):
        taken: Iterable[tuple[str, _Scores]] = islice(run.items(), limit)
        require_queries(dict(islice(run.items(), limit)), queries)
        # Drawn only by a collection that keeps these alone.
        scores = islice(run.values(), limit)
        wanted = chain.from_iterable(islice(one, depth) for one in scores)
    else:
        taken = islice(run, limit)
    documents = collection.documents(wanted)
    blocks = _join(taken, queries, documents, depth, skip_missing, fields, block)
    others = None
    if isinstance(run, Mapping):
        others = sum(query not in run for query in queries)
    return _counted(blocks, len(queries), others, limit)


def _join(
    taken: Iterable[tuple[str, _Scores]],
    queries: Mapping[str, str],
    documents: Documents,
    depth: int | None,
    skip_missing: bool,
    fields: Sequence[str],
    block: int,
) -> Iterator[Block]:
    rest = iter(taken)
    while part := dict(islice(rest, block)):
        require_queries(part, queries)
        names = chain.from_iterable(islice(scores, depth) for scores in part.values())
        texts = {
            name: join_fields(name, found, fields) for name, found in documents.get(names).items()
        }
        candidates, skipped = join_texts(part, queries, texts, depth)
        if skipped and not skip_missing:
            raise MissingTextError(describe_missing(skipped))
        yield Block(part, candidates, skipped)


def _counted(
    blocks: Iterable[Block], queries: int, others: int | None, limit: int | None
) -> Iterator[Block]:
    seen, ranked = 0, 0
    for block in blocks:
        seen += len(block.run)
        ranked += len(block.candidates)
        yield block
    if others is None:  # of a stream that was cut off, nobody knows what else it holds
        others = queries - seen if limit is None or seen < limit else 0
    warn_without(seen - ranked + others)
