"""The speed of three drivers: one call at a time, lock-step, and queries that run independently.

A simulated server in a process of its own has a number of slots and a latency, and answers by a
rule. Pipelined sliding windows ask the same prompts with every driver, and the rankings must be
equal.
"""

import argparse
import asyncio
import os
import platform
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from benchmarks.tables import replace_part, table
from rankprompt import Candidates, Document, PairwiseQuestion, Query
from rankprompt.journal.cached_model import ConcurrentCachedModel
from rankprompt.journal.store import Journal
from rankprompt.judges.adapters.pairwise import pairwise_adapter
from rankprompt.judges.base import CHUNK
from rankprompt.judges.pairwise import PairwiseJudge
from rankprompt.llm.openai.model import OpenAIModel
from rankprompt.prompts.prompt import Prompt
from rankprompt.rankers import METHODS, RankerSettings
from rankprompt.rankers.coroutines import map_questions, merge
from rankprompt.rankers.driver import drive_async
from rankprompt.rankers.reranking import rerank_concurrently
from rankprompt.rankers.seeded_random import uniform
from rankprompt.types import Preference
from tests.fakes import PROMPT
from tests.servers.protocol import ProtocolServer
from tests.servers.speaker import Speaker

CHAT = Prompt("chat", "choice", PROMPT.text, PROMPT.target, PROMPT.options, chat=True)
PASSES = 10

Rankings = dict[str, list[str]]
Drive = Callable[[PairwiseJudge, Sequence[Candidates]], Awaitable[Rankings]]

REPORT = Path("docs/results/speed.md")
WRITER = "benchmarks/servers.py"


class Timed(NamedTuple):
    way: str
    queries: int
    calls: int
    seconds: float
    rankings: Rankings


def prefer(first: str, second: str) -> float:
    """Compares the texts' random strengths, with a bias towards the passage shown first."""
    gap = uniform(0, "strength", first) - uniform(0, "strength", second)
    return min(0.99, max(0.01, 0.52 + gap))


def serve(pipe: Connection, slots: int, latency: float, spread: float) -> None:
    """Serves until the pipe says so, and then sends the number of calls."""

    def seconds(body: dict[str, object]) -> float:
        return latency * (1 + spread * (2 * uniform(0, "latency", str(body)) - 1))

    with ProtocolServer(Speaker(prefer), slots=slots, latency=seconds) as server:
        pipe.send(server.url)
        pipe.recv()
        pipe.send((server.calls, server.repeated, server.most))


def candidates(queries: int, depth: int) -> list[Candidates]:
    return [
        Candidates(
            Query(f"q{q}", f"what is known about subject {q}"),
            tuple(Document(f"d{q}-{d}", f"note {d} on subject {q}") for d in range(depth)),
            tuple(float(-d) for d in range(depth)),
        )
        for q in range(queries)
    ]


async def free(judge: PairwiseJudge, queries: Sequence[Candidates]) -> Rankings:
    ranker = METHODS["pipelined"].bind(RankerSettings(PASSES, PASSES, False))
    return (await rerank_concurrently(queries, judge.ask_concurrently, ranker)).rankings


async def lock_step(judge: PairwiseJudge, queries: Sequence[Candidates]) -> Rankings:
    """Drives all queries in lock-step: a round of all of them ends before the next begins."""

    async def whole(comparisons: Sequence[PairwiseQuestion]) -> list[Preference]:
        parts = [comparisons[start : start + CHUNK] for start in range(0, len(comparisons), CHUNK)]
        asked = await asyncio.gather(*map(judge.ask_concurrently, parts))
        return [one for part in asked for one in part]

    ranker = METHODS["pipelined"].bind(RankerSettings(PASSES, PASSES, False))
    generators = [
        map_questions(ranker(one.documents), partial(PairwiseQuestion.of, one.query))
        for one in queries
    ]
    ranked = await drive_async(merge(generators), whole)
    return {
        one.query.id: [document.id for document in documents]
        for one, documents in zip(queries, ranked, strict=True)
    }


async def timed(
    way: str, drive: Drive, url: str, queries: Sequence[Candidates], concurrency: int
) -> Timed:
    model = OpenAIModel("rule", base_url=url)
    try:
        with closing(Journal(None)) as journal:
            answering = ConcurrentCachedModel(model, journal, concurrency=concurrency)
            judge = PairwiseJudge(answering, pairwise_adapter(CHAT, "scoring"))
            started = time.perf_counter()
            rankings = await drive(judge, queries)
            seconds = time.perf_counter() - started
    finally:
        await model.close()
    assert answering.costs.retries == 0
    print(f"{way}: {answering.costs.prompts:,} calls in {seconds:.1f} s", file=sys.stderr)
    return Timed(way, len(queries), answering.costs.prompts, seconds, rankings)


def compare(options: argparse.Namespace) -> list[Timed]:
    """Measures each driver with the same server; the best of its turns counts."""
    queries = candidates(options.queries, options.depth)
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(
        target=serve, args=(theirs, options.slots, options.latency / 1000, options.spread)
    )
    process.start()
    try:
        url = ours.recv()
        ways: list[tuple[str, Drive, Sequence[Candidates], int]] = [
            ("one call at a time", free, queries[: options.alone], 1),
            ("lock-step", lock_step, queries, options.slots),
            ("free-running", free, queries, options.slots),
        ]
        # In turns, so that other load on the machine affects all of them.
        turns = [
            [asyncio.run(timed(way, drive, url, part, limit)) for way, drive, part, limit in ways]
            for _ in range(options.turns)
        ]
        ours.send("stop")
        calls, repeated, most = ours.recv()
    finally:
        process.join(10)
        process.terminate()
    assert calls == sum(one.calls for turn in turns for one in turn)
    assert most <= options.slots
    for alone, step, running in turns:
        assert step.rankings == running.rankings
        assert step.calls == running.calls
        assert all(running.rankings[query] == alone.rankings[query] for query in alone.rankings)
        # Each driver asks every prompt once: a repeated prompt came from another driver.
        assert repeated == calls - running.calls
    return [min(tries, key=lambda one: one.seconds) for tries in zip(*turns, strict=True)]


def report(options: argparse.Namespace, found: Sequence[Timed]) -> str:
    alone, *_, running = found
    whole = alone.seconds / alone.calls * running.calls
    rows = []
    for one in found:
        seconds = whole if one is alone else one.seconds
        mark = "*" if one.calls < running.calls else ""
        rows.append(
            [
                one.way,
                f"{running.calls:,}",
                f"{seconds:.1f}{mark}",
                f"{running.calls / seconds:.0f}",
                f"{whole / seconds:.1f}",
            ]
        )
    columns = ["way", "calls", "seconds", "calls a second", "times one at a time"]
    part = f"{alone.queries} of the queries, {alone.calls:,} calls in {alone.seconds:.1f} s"
    note = f"\\* from {part}.\n"
    ideal = running.calls * options.latency / 1000 / options.slots
    return f"""{options.queries} queries, {options.depth} passages each, pipelined, {PASSES} passes,
both orders; {options.slots} slots, {options.latency:g} ms a call{_spread(options)}, as many calls
at a time as slots. With all slots busy all the time: {ideal:.1f} s. Rankings and calls are the
same. Each way had {options.turns} turns, and its best is shown.

{table(columns, rows)}

{note if alone.calls < running.calls else ""}
Made by `make bench-servers` on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores,
Python {platform.python_version()}.
"""


def _spread(options: argparse.Namespace) -> str:
    return f" give or take {options.spread:.0%}, drawn by the prompt" if options.spread else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=43)
    parser.add_argument("--depth", type=int, default=20)
    parser.add_argument("--slots", type=int, default=32)
    parser.add_argument("--latency", type=float, default=50.0, help="milliseconds a call")
    parser.add_argument("--spread", type=float, default=0.0, help="of the latency, as a share")
    parser.add_argument("--alone", type=int, default=2, help="queries asked one call at a time")
    parser.add_argument("--turns", type=int, default=2, help="the best of how many counts")
    options = parser.parse_args()
    text = report(options, compare(options))
    print(text)
    replace_part(REPORT, WRITER, text)


if __name__ == "__main__":
    main()
