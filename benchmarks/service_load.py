"""``rankprompt serve`` under many clients at a time, against the same requests one at a time.

A real server process ranks passages of the sample collection with an embedded model. Each request
has a query of its own, by a number at its end, so that no prompt comes twice, unless the workload
is of popular questions; there is no journal.
Requests one at a time come before and after those of the clients together, so that a machine whose
speed changes harms both.
"""

import argparse
import http.client
import itertools
import json
import os
import platform
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple, Self

from benchmarks.tables import replace_part, table

REPORT = Path("docs/results/speed.md")
WRITER = "benchmarks/service_load.py"
SAMPLE = files("rankprompt.datasets") / "sample" / "en"


class Workload(NamedTuple):
    """What is served, how many passages each request has, and whether requests come again."""

    name: str
    passages: int
    options: tuple[str, ...]
    repeats: bool = False


_SORT = (
    "--model", "smollm2-135m", "--method", "heapsort", "--timeout", "600",
)  # fmt: skip

WORKLOADS = {
    one.name: one
    for one in (
        Workload("one passage", 1, ()),
        Workload("pointwise", 8, ()),
        Workload("heapsort", 4, _SORT),
        Workload("popular questions", 4, _SORT, repeats=True),
    )
}


class Requests:
    """Bodies of requests, none like another unless they repeat; for several threads."""

    def __init__(self, passages: int, repeats: bool = False) -> None:
        lines = (SAMPLE / "docs.jsonl").read_text("utf-8").splitlines()
        self._texts = [json.loads(line)["text"] for line in lines]
        rows = (SAMPLE / "queries.tsv").read_text("utf-8").splitlines()
        self._queries = [row.split("\t")[1] for row in rows]
        self._passages, self._random, self._lock = passages, random.Random(0), threading.Lock()
        self._numbers, self._repeats = itertools.count(1), repeats

    def next(self) -> bytes:
        with self._lock:
            query = self._random.choice(self._queries)
            if self._repeats:
                first = self._queries.index(query) * self._passages
                documents = self._texts[first : first + self._passages]
                return json.dumps({"query": query, "documents": documents}).encode()
            query = f"{query} {next(self._numbers)}"
            documents = self._random.sample(self._texts, self._passages)
        return json.dumps({"query": query, "documents": documents}).encode()


class Server:
    """A process of ``rankprompt serve`` on some of this machine's cores."""

    def __init__(self, options: Sequence[str], cores: set[int], folder: Path) -> None:
        self._log = folder / "log"
        environment = {**os.environ, "OMP_NUM_THREADS": str(len(cores))}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "rankprompt", "serve", "--port", "0", *options],
                stderr=log,
                env=environment,
                preexec_fn=lambda: os.sched_setaffinity(0, cores),
            )

    def __enter__(self) -> Self:
        while not (found := re.search(r"serving .* at http://[\d.]+:(\d+)", self._log.read_text())):
            if self._process.poll() is not None:
                raise SystemExit(f"the server ended:\n{self._log.read_text()}")
            time.sleep(0.1)
        self.port = int(found[1])
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(120)

    @property
    def process_id(self) -> int:
        return self._process.pid

    @property
    def memory(self) -> int:
        """What the process holds in memory, in MiB."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) // 1024

    @property
    def processor_seconds(self) -> float:
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def batches(self) -> tuple[float, float]:
        """The model's batches until now, and the prompts in them, by the server's metrics."""
        with connected(self.port) as connection:
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        names = ("rankprompt_batches", "rankprompt_batch_prompts")
        found = [re.findall(rf"^{name} (\S+)", text, re.MULTILINE)[0] for name in names]
        return float(found[0]), float(found[1])


@contextmanager
def connected(port: int) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=900)
    try:
        yield connection
    finally:
        connection.close()


class Measured(NamedTuple):
    """What some clients measured: a time in seconds for each answer of status 200."""

    clients: int
    seconds: float
    times: list[float]
    statuses: Counter[int]
    batches: float
    prompts: float
    processor: float

    def __add__(self, other: Any) -> "Measured":
        both: list[Any] = [mine + theirs for mine, theirs in zip(self, other, strict=True)]
        return Measured(self.clients, *both[1:])

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.times) / self.seconds

    def quantile(self, share: float) -> float:
        ordered = sorted(self.times)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def measure(server: Server, requests: Requests, clients: int, seconds: float) -> Measured:
    """Has clients ask for some seconds, each a request after the other; waits for the last."""
    times: list[float] = []
    statuses: Counter[int] = Counter()
    lock = threading.Lock()
    started = time.perf_counter()
    ended = started + seconds

    def ask() -> None:
        with connected(server.port) as connection:
            while (begun := time.perf_counter()) < ended:
                body = requests.next()
                connection.request("POST", "/v1/rerank", body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read()
                took = time.perf_counter() - begun
                with lock:
                    statuses[answer.status] += 1
                    if answer.status == http.HTTPStatus.OK:
                        times.append(took)
                if answer.status == http.HTTPStatus.TOO_MANY_REQUESTS:
                    time.sleep(float(answer.headers["Retry-After"]))

    before, processor = server.batches(), server.processor_seconds
    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    passed, after = time.perf_counter() - started, server.batches()
    used = server.processor_seconds - processor
    batches, prompts = after[0] - before[0], after[1] - before[1]
    return Measured(clients, passed, times, statuses, batches, prompts, used)


class Outcome(NamedTuple):
    """One at a time, together, and the server's memory in MiB, in the order of time."""

    workload: Workload
    alone: Measured
    together: Measured
    memory: list[int]


def run(workload: Workload, options: argparse.Namespace, cores: set[int]) -> Outcome:
    requests = Requests(workload.passages, workload.repeats)
    with (
        tempfile.TemporaryDirectory() as folder,
        Server(workload.options, cores, Path(folder)) as server,
    ):
        print(f"{workload.name}: the server is process {server.process_id}", file=sys.stderr)
        measure(server, requests, 2, 1)  # what the first requests alone pay
        memory = [server.memory]
        alone = measure(server, requests, 1, options.alone / 2)
        together = measure(server, requests, options.clients, options.seconds / 2)
        memory.append(server.memory)
        together += measure(server, requests, options.clients, options.seconds / 2)
        memory.append(server.memory)
        alone += measure(server, requests, 1, options.alone / 2)
    wrong = (alone.statuses + together.statuses).keys() - {200, 429}
    assert not wrong, f"{workload.name}: answers of status {sorted(wrong)}"
    return Outcome(workload, alone, together, memory)


def _row(outcome: Outcome, way: str, measured: Measured) -> list[str]:
    statuses = ", ".join(f"{count:,} of {name}" for name, count in measured.statuses.items())
    return [
        f"{outcome.workload.name}, {outcome.workload.passages} passages: {way}",
        statuses,
        f"{measured.rate:.2f}",
        f"{measured.rate / outcome.alone.rate:.2f}",
        f"{statistics.median(measured.times) * 1000:,.0f}",
        f"{measured.quantile(0.99) * 1000:,.0f}",
        f"{measured.batches:,.0f}",
        f"{measured.prompts / measured.batches:.1f}",
        f"{measured.processor / len(measured.times):.2f}",
        " / ".join(f"{one:,}" for one in outcome.memory) if way != "one at a time" else "",
    ]


def report(options: argparse.Namespace, outcomes: Sequence[Outcome], cores: set[int]) -> str:
    rows = [
        _row(one, way, measured)
        for one in outcomes
        for way, measured in (
            ("one at a time", one.alone),
            (f"{options.clients} clients", one.together),
        )
    ]
    columns = ["requests", "answers of status", "a second", "times one at a time", "p50, ms",
               "p99, ms", "batches", "prompts a batch", "processor's seconds a request",
               "memory at start / middle / end, MiB"]  # fmt: skip
    return f"""{table(columns, rows)}

{options.seconds:g} s of {options.clients} clients, each a request after the other, between two
halves of {options.alone:g} s of one client. The default model with one passage and with eight, and
SmolLM2-135M by heapsort. Requests are all different, but for the popular
questions: each client asks one of the sample's 24 questions, each with passages of its own, and
what several clients ask at the same time is asked once. There is no journal.

Made by `make bench-service` on {datetime.now(UTC):%Y-%m-%d}: the server on {len(cores)} of
{os.cpu_count()} cores, which it shares with the clients, load {os.getloadavg()[1]:.1f}, Python
{platform.python_version()}.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=list(WORKLOADS))
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60.0, help="of the clients together")
    parser.add_argument("--alone", type=float, default=30.0, help="seconds of one client")
    parser.add_argument("--cores", type=int, default=2, help="of the server")
    parser.add_argument("--dry", action="store_true", help="print the table, and write no page")
    options = parser.parse_args()
    cores = set(sorted(os.sched_getaffinity(0))[: options.cores])
    outcomes = [run(WORKLOADS[name], options, cores) for name in options.workloads]
    text = report(options, outcomes, cores)
    print(text)
    if not options.dry:
        replace_part(REPORT, WRITER, text)


if __name__ == "__main__":
    main()
