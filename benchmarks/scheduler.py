"""What asking costs without a model: the table in docs/scheduler.md.

A judge that answers at once stands in for the model, so all that is left is ours: flows, rounds,
records. Counts depend on no machine, microseconds do.
"""

import os
import platform
import resource
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.tables import table
from rankprompt import Candidates, Comparison, Document, Query, rerank
from rankprompt.seeds import uniform
from rankprompt.sorting import METHODS

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


def main() -> None:
    rows = [measure(method) for method in METHODS]
    seconds, size = begin(1000)
    text = f"""\
# What asking costs without a model

{QUERIES} queries, {DEPTH} documents each, k and passes 10, a judge that answers at once from drawn
strengths. Microseconds are of flows, rounds, records and this judge together.

{table(["method", "comparisons", "rounds", "microseconds a comparison"], rows)}

Allpair over 1,000 queries (4,950,000 comparisons): the first round is asked after {seconds:.1f} s,
and the process, this benchmark's earlier runs included, was never larger than {size:.0f} MiB.

Made by `make bench-scheduler` on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores, Python
{platform.python_version()}.
"""
    print(text)
    REPORT.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
