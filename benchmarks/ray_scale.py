"""A rerank of many queries over Ray on this machine: whether memory and pace stay flat.

Everything is real but the model and the texts: files are read block by block, workers on Ray hold a
model that answers at once by made-up grades, answers go through the driver's journal, and the run
is written. Each tenth of the queries is measured.
"""

import argparse
import os
import platform
import random
import re
import sys
import time
import zlib
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks.tables import replace_part, table
from rankprompt.files import iterate_run
from rankprompt.journal.store import Journal
from rankprompt.llm.base import Answer, Request, Usage
from rankprompt.pipeline.candidate_source import CandidateSource
from rankprompt.pipeline.config import (
    DataConfig,
    JudgeConfig,
    ModelConfig,
    OutputConfig,
    RankerConfig,
    RerankConfig,
)
from rankprompt.pipeline.job import RerankJob
from rankprompt.pipeline.ray import RayCluster, WorkerConfig, Workers
from rankprompt.pipeline.run_writer import RunWriter
from rankprompt.pipeline.validation import validate

__all__ = ["SimulatedModel", "State", "rerank_all", "simulated_model", "write_collection"]

PAGE = Path("docs/scale.md")
WRITER = "benchmarks/ray_scale.py"
DEPTH, WORKERS, BATCH = 10, 2, 256
DOCUMENTS = 10_000  # passages, of which each query has some
PARTS = 10
WORDS = "words of a passage that somebody has written about some subject " * 4
_NAMES = re.compile(r"\[([qd]\d+)\]")


def grade(query: str, document: str) -> float:
    """A made-up relevance between 0 and 1."""
    return zlib.crc32(f"{query} {document}".encode()) / 2**32


class SimulatedModel:
    """A language model that answers pairs at once, by their grades."""

    name = fingerprint = "simulated"
    context_length = 4096

    def length(self, request: Request) -> int:
        return len(request.prompt) // 4

    def truncate(self, text: str, tokens: int) -> str:
        return text[: 4 * tokens]

    def escape(self, text: str) -> str:
        return text

    def plan(self, requests: Sequence[Request]) -> list[list[int]]:
        numbers = list(range(len(requests)))
        return [numbers[start : start + BATCH] for start in range(0, len(numbers), BATCH)]

    def answer(self, requests: Sequence[Request]) -> tuple[list[Answer], Usage]:
        answers = []
        for request in requests:
            query, first, second = _NAMES.findall(request.prompt)
            answers.append(Answer((grade(query, first), grade(query, second)), (1, 1)))
        return answers, Usage(sum(map(self.length, requests)), 0)


def simulated_model(job: RerankJob, device: str) -> SimulatedModel:
    """What a worker loads."""
    del job, device
    return SimulatedModel()


def write_collection(folder: Path, queries: int) -> DataConfig:
    """Writes a run, queries and passages."""
    draw = random.Random(0)
    run_path, texts_path, docs_path = (
        folder / name for name in ("bm25.trec", "queries.tsv", "docs.tsv")
    )
    docs_path.write_text("".join(f"d{i}\t[d{i}] {WORDS}\n" for i in range(DOCUMENTS)))
    with run_path.open("w") as run, texts_path.open("w") as texts:
        for number in range(queries):
            texts.write(f"q{number}\t[q{number}] some subject\n")
            for rank, document in enumerate(draw.sample(range(DOCUMENTS), DEPTH), start=1):
                run.write(f"q{number} Q0 d{document} {rank} {-rank} bm25\n")
    return DataConfig(run_path, texts_path, docs_path, depth=DEPTH)


class State(NamedTuple):
    """How far a run has come, and what its processes have taken, in seconds and megabytes."""

    queries: int
    wall: float
    busy: float
    driver: float
    workers: float
    journal: float


def look(queries: int) -> State:
    """Looks at this process and at those that Ray started for it."""
    parents, names, busy, memory = {}, {}, {}, {}
    ticks = os.sysconf("SC_CLK_TCK")
    for process in Path("/proc").iterdir():
        if not process.name.isdecimal():
            continue
        try:
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            status = (process / "status").read_text()
            names[process.name] = (process / "cmdline").read_text()
        except OSError:  # it has ended meanwhile
            continue
        parents[process.name] = fields[1]
        busy[process.name] = (int(fields[11]) + int(fields[12])) / ticks
        anonymous = re.search(r"RssAnon:\s+(\d+) kB", status)
        memory[process.name] = int(anonymous[1]) / 1000 if anonymous else 0.0
    own = [str(os.getpid())]
    for parent in own:
        own += [child for child in names if parents.get(child) == parent]

    def most(title: str) -> float:
        return max((memory[one] for one in own if title in names.get(one, "")), default=0.0)

    # Ray's own processes poll by time, whatever the queries: they are not counted.
    counted = [own[0], *(one for one in own if "ray::" in names.get(one, ""))]
    return State(
        queries, time.perf_counter(), sum(busy[one] for one in counted),
        memory[own[0]], most("ray::Worker"), most("ray::JournalActor"),
    )  # fmt: skip


def rerank_all(folder: Path, data: DataConfig) -> tuple[list[State], int, Path]:
    """Reranks as ``rankprompt rerank --ray local`` does.

    Returns:
        States at the start and after each part, the prompts, and the run's path.
    """
    output = folder / "out.trec"
    job = validate(
        RerankConfig(
            data=data,
            model=ModelConfig(name="simulated"),
            ranker=RankerConfig(method="heapsort", k=1),
            judge=JudgeConfig(prompt="prp", order="single"),
            output=OutputConfig(output, folder / "answers.journal"),
        )
    )
    assert job.config.output.journal
    source = CandidateSource(job)
    cluster = RayCluster(workers=WORKERS, cpus_per_worker=1)
    workers_config = WorkerConfig(job, "benchmarks.ray_scale:simulated_model")
    done, due = 0, [source.queries * part // PARTS for part in range(1, PARTS + 1)]
    with (
        closing(Journal(job.config.output.journal)) as journal,
        RunWriter(output) as writer,
        Workers(workers_config, journal, cluster) as workers,
    ):
        states = [look(0)]
        for block in source.blocks():
            writer.expect(block.run, {query.query.id for query in block.candidates})
            for finished in workers.rerank(block.candidates):
                writer.write(finished.result.rankings, finished.result.scores)
                done += len(finished.result.rankings)
                if done >= due[0]:
                    states.append(look(done))
                    due.pop(0)
                    print(states[-1], file=sys.stderr, flush=True)
        writer.commit("{}")
        return states, workers.costs.prompts, output


def check(run: Path, queries: int) -> None:
    """Each query's first document must be its best."""
    checked = 0
    for query, scores in iterate_run(run):
        assert max(scores, key=lambda name: grade(query, name)) == next(iter(scores)), query
        checked += 1
    assert checked == queries


def report(states: Sequence[State], prompts: int, journal: int) -> str:
    rows = []
    for before, after in pairwise(states):
        queries = after.queries - before.queries
        rows.append([
            f"{after.queries:,}",
            f"{queries / (after.wall - before.wall):,.0f}",
            f"{1000 * (after.busy - before.busy) / queries:.1f}",
            f"{after.driver:,.0f}", f"{after.workers:,.0f}", f"{after.journal:,.0f}",
        ])  # fmt: skip
    columns = [
        "queries so far", "queries a second", "processor seconds, 1,000 queries", "driver, MB",
        "larger worker, MB", "journal's process, MB",
    ]  # fmt: skip
    queries, seconds = states[-1].queries, states[-1].wall - states[0].wall
    return f"""{table(columns, rows)}

{queries:,} queries of {DEPTH} candidates by heapsort for the best, {WORKERS} workers:
{prompts:,} prompts in {seconds:,.0f} seconds; {journal / prompts:.0f} bytes of journal a prompt.
Memory is what a process has to itself (`RssAnon`). Made by `python -m benchmarks.ray_scale
--queries {queries}` on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores with a load of
{os.getloadavg()[0]:.1f}, Python {platform.python_version()}.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=100_000)
    parser.add_argument("--dry", action="store_true", help="write no report")
    options = parser.parse_args(arguments)
    with TemporaryDirectory() as name:
        folder = Path(name)
        states, prompts, run = rerank_all(folder, write_collection(folder, options.queries))
        check(run, options.queries)
        text = report(states, prompts, (folder / "answers.journal").stat().st_size)
    print(text)
    if not options.dry:
        replace_part(PAGE, WRITER, text)


if __name__ == "__main__":
    main()
