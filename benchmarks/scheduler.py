"""What asking costs without a model: the table in docs/scheduler.md.

A judge that answers at once stands in for the model, so all that is left is ours: flows, rounds,
records. Counts depend on no machine, microseconds do.
"""

import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.tables import table
from rankprompt import Candidates, Comparison, Document, Query, rerank
from rankprompt.rankers import METHODS, PAIRWISE
from rankprompt.rankers.seeded_random import uniform

REPORT = Path("docs/scheduler.md")
QUERIES, DEPTH = 43, 100


class Begun(Exception):  # noqa: N818 - not an error: what was to be measured has happened
    """The first round has been asked."""


def candidates(queries: int) -> list[Candidates]:
    documents = tuple(Document(f"d{place}", "a text") for place in range(DEPTH))
    scores = tuple(float(-place) for place in range(DEPTH))
    return [Candidates(Query(f"q{one}", "a query"), documents, scores) for one in range(queries)]


def measure(method: str) -> list[str]:
    asked = 0
    # By the documents' drawn strength: a judge that never contradicts itself.
    strength = {f"d{place}": uniform(0, "strength", str(place)) for place in range(DEPTH)}

    def judge(comparisons: Sequence[Comparison]) -> list[float]:
        nonlocal asked
        asked += len(comparisons)
        return [
            1.0 if strength[one.first.id] > strength[one.second.id] else 0.0 for one in comparisons
        ]

    given = candidates(QUERIES)
    started = time.perf_counter()
    rounds = rerank(given, judge, METHODS[method].ranker(10, 10, False)).rounds
    spent = (time.perf_counter() - started) / asked
    return [method, f"{asked:,}", f"{rounds:,}", f"{spent * 1e6:.1f}"]


def begin(queries: int) -> tuple[float, float]:
    """Seconds until allpair's first round is asked, and the process's largest size in MiB."""

    def judge(comparisons: Sequence[Comparison]) -> list[float]:
        raise Begun(len(comparisons))

    started = time.perf_counter()
    with suppress(Begun):
        rerank(candidates(queries), judge, METHODS["allpair"].ranker(10, 10, False))
    seconds = time.perf_counter() - started
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def stream(queries: int) -> tuple[float, float]:
    """Seconds of a whole job from files to files, and its process's largest size in MiB.

    20 documents a query, texts of 300 characters, an oracle for a judge.
    """
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        with (place / "docs.tsv").open("w") as docs:
            docs.writelines(f"d{one}\t{'text ' * 60}\n" for one in range(1000))
        with (
            (place / "queries.tsv").open("w") as texts,
            (place / "run.trec").open("w") as run,
            (place / "qrels.trec").open("w") as qrels,
        ):
            for query in range(queries):
                texts.write(f"q{query}\tthe query of number {query}\n")
                for rank in range(20):
                    name = f"d{(query + rank) % 1000}"
                    run.write(f"q{query} Q0 {name} {rank + 1} {-rank} bm25\n")
                qrels.write(f"q{query} 0 d{(query + 7) % 1000} 1\n")
        script = (
            "import sys; from pathlib import Path; from rankprompt.pipeline.rerank import *\n"
            "p = Path(sys.argv[1])\n"
            "run_job(Job(p / 'run.trec', p / 'queries.tsv', p / 'docs.tsv', p / 'out.trec', "
            "model=f'oracle:{p}/qrels.trec', method='quickselect'))\n"
            # Not getrusage, which counts the parent's size before exec, too.
            "print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])"
        )
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", script, folder], capture_output=True, text=True, check=True
        )
        return time.perf_counter() - started, int(done.stdout) / 1024


def main() -> None:
    rows = [measure(method) for method in PAIRWISE]
    seconds, size = begin(1000)
    jobs = []
    for queries in (1_000, 10_000, 100_000):
        took, largest = stream(queries)
        jobs.append([f"{queries:,}", f"{took:.0f}", f"{largest:.0f}"])
    text = f"""\
# What asking costs without a model

{QUERIES} queries, {DEPTH} documents each, k and passes 10, a judge that answers at once from drawn
strengths. Microseconds are of flows, rounds, records and this judge together.

{table(["method", "comparisons", "rounds", "microseconds a comparison"], rows)}

Those of bradley-terry are its fit of strengths, once a round of disjoint pairs.

Allpair over 1,000 queries (4,950,000 comparisons): the first round is asked after {seconds:.1f} s,
and the process, this benchmark's earlier runs included, was never larger than {size:.0f} MiB.

A whole `rerank` with an oracle, from files to files, 20 documents a query. Texts, rankings and
answers are held for a thousand queries at a time; what grows is the queries' own file and grades,
which are read whole.

{table(["queries", "seconds", "largest MiB"], jobs)}

Made by `make bench-scheduler` on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores, Python
{platform.python_version()}.
"""
    print(text)
    REPORT.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
