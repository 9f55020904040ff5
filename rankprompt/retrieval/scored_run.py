"""Writes a run with its scores, query by query, and the run's manifest."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from rankprompt.files.atomic_write import Scratch, write_together
from rankprompt.files.manifest import format_manifest, manifest_path
from rankprompt.files.trec_run import format_scores

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["RunCounts", "Scored", "write_scored_run"]

Scored: TypeAlias = Iterable[tuple[str, Mapping[str, float]]]
"""Query ids with scores by document id, best first."""


class RunCounts(NamedTuple):
    """The number of candidates in a run, and the queries without any."""

    candidates: int
    unmatched: list[str]


def write_scored_run(
    output: Path,
    tag: str,
    scored: Scored,
    advance: Callable[[int], None],
    describe: Callable[[RunCounts], tuple["DataclassInstance", Mapping[str, object]]],
) -> object:
    """Writes a run and its manifest, both or neither.

    Args:
        output: the run's file.
        tag: the run's name, one word.
        scored: the queries of the run, in its order.
        advance: called after each query.
        describe: returns the configuration and the other entries of the manifest. It may raise an
            error, and then nothing is written.

    Returns:
        The manifest, as parsed JSON.

    Raises:
        InputError: a file cannot be written, or an id contains white space.
    """
    candidates, unmatched = 0, []
    with Scratch(output) as scratch:
        for query, scores in scored:
            scratch.write(format_scores(query, scores, tag))
            candidates += len(scores)
            if not scores:
                unmatched.append(query)
            advance(1)
        config, content = describe(RunCounts(candidates, unmatched))
        manifest = format_manifest({"settings": asdict(config), **content})
        write_together({output: scratch, manifest_path(output): manifest})
    parsed: object = json.loads(manifest)
    return parsed
