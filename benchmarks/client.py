"""How many calls a second one process makes to a server that answers at once.

The same bodies go out in four ways, in turns: by the whole stack (the journal, the model, the
client), by the client alone, by httpx2 alone (what the client was built on before), and by bare
asyncio streams that parse nothing. The server has a core of its own where there are two.
"""

import argparse
import asyncio
import json
import math
import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx2

from benchmarks.instant_server import reply_of, serving
from benchmarks.tables import replace_part, table
from rankprompt.journal.cached_model import ConcurrentCachedModel
from rankprompt.journal.store import Journal
from rankprompt.llm.base import Request
from rankprompt.llm.openai.model import OpenAIModel
from rankprompt.llm.openai.retrying_client import RetryingClient

REPORT = Path("docs/results/speed.md")
WRITER = "benchmarks/client.py"

LABELS = ("Passage A", "Passage B")
PASSAGE = "words of a passage that somebody has written about the subject of the query " * 8
# As many requests as a query's round may have.
ROUND = 20
LEVELS = (16, 64, 256, 1024)

Way = Callable[[str, int, int], Coroutine[Any, Any, None]]


class Timed(NamedTuple):
    """Calls, and the seconds that they took: by the clock, and of this process's processor."""

    calls: int
    wall: float
    busy: float


def answer() -> bytes:
    """A chat's reply: two tokens, with the likeliest ones in the place of each."""

    def entry(token: str, probability: float) -> dict[str, object]:
        logprob = math.log(probability)
        return {"token": token, "logprob": logprob, "bytes": list(token.encode())}

    def position(*tokens: str) -> dict[str, object]:
        tops = [entry(token, 0.5**place) for place, token in enumerate(tokens, 1)]
        return {**tops[0], "top_logprobs": tops}

    listed = [position("Passage", "The", "A", "B", "Both"), position(" A", " B", "A", " the", "B")]
    message = {"role": "assistant", "content": "Passage A"}
    return reply_of({
        "id": "chat-1", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [
            {"index": 0, "message": message, "logprobs": {"content": listed},
             "finish_reason": "stop"},
        ],
        "usage": {"prompt_tokens": 210, "completion_tokens": 2, "total_tokens": 212},
    })  # fmt: skip


def requests(calls: int) -> list[Request]:
    """Different questions: an answer in the journal is not asked for again."""
    prompt = f"Which passage answers the query?\n\nA: {PASSAGE}\n\nB: {PASSAGE}\n\nQuery: "
    return [Request(f"{prompt}{number}", LABELS, chat=True) for number in range(calls)]


def bodies(calls: int) -> list[bytes]:
    """About what the model sends for these requests."""
    more = {"max_tokens": 10, "temperature": 0.0, "logprobs": True, "top_logprobs": 20}
    return [
        json.dumps(
            {"model": "m", "messages": [{"role": "user", "content": request.prompt}], **more}
        ).encode()
        for request in requests(calls)
    ]


async def whole_stack(url: str, calls: int, in_flight: int) -> None:
    model = OpenAIModel("m", base_url=url)
    with TemporaryDirectory() as folder, closing(Journal(Path(folder) / "a.journal")) as journal:
        cached = ConcurrentCachedModel(model, journal, concurrency=in_flight)
        asked = requests(calls)
        rounds = [asked[start : start + ROUND] for start in range(0, calls, ROUND)]
        try:
            await asyncio.gather(*map(cached.answer, rounds))
        finally:
            await model.close()
    assert (cached.costs.prompts, cached.costs.retries) == (calls, 0)


async def client_alone(url: str, calls: int, in_flight: int) -> None:
    client = RetryingClient(url, timeout=60.0, retries=0)
    slots = asyncio.Semaphore(in_flight)
    sent = [json.loads(body) for body in bodies(calls)]

    async def call(body: dict[str, object]) -> None:
        async with slots:
            await client.post("/chat/completions", body, lambda reply: reply)

    try:
        await asyncio.gather(*map(call, sent))
    finally:
        await client.close()


async def httpx2_alone(url: str, calls: int, in_flight: int) -> None:
    slots = asyncio.Semaphore(in_flight)
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
    headers = {"content-type": "application/json"}

    async with httpx2.AsyncClient(limits=limits, timeout=60.0) as client:

        async def call(body: bytes) -> None:
            async with slots, asyncio.timeout(60.0):
                reply = await client.post(f"{url}/chat/completions", content=body, headers=headers)
                json.loads(reply.content)

        await asyncio.gather(*map(call, bodies(calls)))


async def streams(url: str, calls: int, in_flight: int) -> None:
    host, port = urlsplit(url).netloc.split(":")
    left = iter(bodies(calls))

    async def work() -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        for body in left:
            writer.write(
                b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\n"
                b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body
            )
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.partition(b"content-length: ")[2].split(b"\r")[0]))
        writer.close()
        await writer.wait_closed()

    await asyncio.gather(*(work() for _ in range(in_flight)))


WAYS: dict[str, Way] = {
    "whole stack": whole_stack,
    "client alone": client_alone,
    "httpx2 alone": httpx2_alone,
    "asyncio streams": streams,
}


def measure(way: Way, url: str, calls: int, in_flight: int) -> Timed:
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    asyncio.run(way(url, calls, in_flight))
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Timed(calls, wall, busy)


def compare(options: argparse.Namespace) -> dict[int, dict[str, Timed]]:
    """By calls in flight and way: the least time of its turns, by the clock and the processor."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cores) > 1:
        os.sched_setaffinity(0, {cores[0]})
    found: dict[int, dict[str, Timed]] = {}
    with serving(answer(), cores[1] if len(cores) > 1 else None) as url:
        measure(whole_stack, url, 50, 16)  # what is imported and compiled at the first call
        for in_flight in options.levels:
            found[in_flight] = {}
            for _ in range(options.turns):
                # In turns, so that other load on the machine affects all of them.
                for name in options.ways:
                    timed = measure(WAYS[name], url, options.calls, in_flight)
                    print(
                        f"{in_flight} in flight, {name}: {timed.calls / timed.wall:.0f} a second, "
                        f"{1000 * timed.busy / timed.calls:.2f} ms of processor a call",
                        file=sys.stderr,
                    )
                    best = found[in_flight].setdefault(name, timed)
                    found[in_flight][name] = Timed(timed.calls, *map(min, timed[1:], best[1:]))
    return found


def report(options: argparse.Namespace, found: dict[int, dict[str, Timed]]) -> str:
    baseline = "httpx2 alone"
    rows = []
    for in_flight, ways in found.items():
        for name, timed in ways.items():
            rows.append([
                f"{in_flight:,}",
                name,
                f"{timed.calls / timed.wall:,.0f}",
                f"{1000 * timed.busy / timed.calls:.2f}",
                f"{timed.calls / timed.busy:,.0f}",
                f"{ways[baseline].wall / timed.wall:.1f}",
                f"{ways[baseline].busy / timed.busy:.1f}",
            ])  # fmt: skip
    columns = [
        "in flight", "way", "calls a second", "processor s, 1,000 calls",
        "calls a processor second", "times httpx2", "times httpx2, processor",
    ]  # fmt: skip
    sent, received = len(bodies(1)[0]) / 1000, len(answer()) / 1000
    return f"""{options.calls:,} calls of {sent:.1f} kB each way to a server in a process of its
own, which answers each at once with the same {received:.1f} kB. The whole stack is
`ConcurrentCachedModel` with a journal on disk, `OpenAIModel` and its client; the streams parse no
reply. Each way had {options.turns} turns, and the least of their times is shown, by the clock and
of the client's processor. Other work on the machine (the load below) shows in the clock most: what
a free core would do is near the calls a processor second.

{table(columns, rows)}

Made by `make bench-client` on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores with a load of
{os.getloadavg()[0]:.1f}, client and server on one each, Python {platform.python_version()}.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=4000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--levels", type=int, nargs="*", default=list(LEVELS))
    parser.add_argument("--ways", nargs="*", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--dry", action="store_true", help="write no report")
    options = parser.parse_args(arguments)
    found = compare(options)
    if options.dry:
        return
    text = report(options, found)
    print(text)
    replace_part(REPORT, WRITER, text)


if __name__ == "__main__":
    main()
