"""Waits until a batch has ended, and reads its results."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

from rankprompt.llm.openai.batches.calls import BatchCalls, BatchStatus
from rankprompt.llm.openai.batches.lines import Result, parse_result
from rankprompt.llm.openai.batches.records import BatchRecord

__all__ = ["NamedResult", "polling_pause", "results_of", "until_ended"]

log = logging.getLogger("rankprompt.batches")

# Seconds between two messages about a batch that goes on.
_REPORT = 300.0


class NamedResult(NamedTuple):
    """What became of a request, and the request's name."""

    name: str
    result: Result


def polling_pause(polls: int) -> float:
    """Returns the seconds until a batch is asked for again: 0.5 s, doubled, and at most 60 s."""
    return min(60.0, 0.5 * 2.0 ** min(polls, 10))


async def until_ended(
    calls: BatchCalls, record: BatchRecord, pause: Callable[[int], float]
) -> BatchStatus | None:
    """Waits until a batch has ended, and tells now and then how far it is.

    Args:
        calls: asks the server.
        record: of the batch, which was created.
        pause: returns the seconds until it is asked for again, given how often it was.

    Returns:
        The batch; None where the server knows it no more.

    Raises:
        ModelError: the server refuses to tell, or has not answered for an hour.
    """
    assert record.batch is not None, "created"
    began = told = time.monotonic()
    polls = 0
    while (status := await calls.status(record.batch)) and not status.has_ended:
        if time.monotonic() - told > _REPORT:
            told = time.monotonic()
            _report(record, status, told - began)
        await asyncio.sleep(pause(polls))
        polls += 1
    if status:
        _report(record, status, time.monotonic() - began)
    return status


async def results_of(calls: BatchCalls, status: BatchStatus) -> AsyncIterator[NamedResult]:
    """Gives the results of a batch that has ended, in any order; a line that is none is left out.

    Raises:
        ModelError: as ``until_ended``.
    """
    for file in filter(None, (status.output_file_id, status.error_file_id)):
        content = await calls.download(file)
        if content is None:
            log.warning("%s: the server has its results no more", status.id)
            continue
        with content:
            for line in content:
                if parsed := parse_result(line):
                    yield NamedResult(*parsed)


def _report(record: BatchRecord, status: BatchStatus, seconds: float) -> None:
    log.info(
        "%s: %s, %d of %d requests answered, after %.0f minutes",
        record.batch, status.status, status.answered, len(record.requests), seconds / 60,
    )  # fmt: skip
