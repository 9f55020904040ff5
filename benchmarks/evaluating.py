"""What scoring costs, as a user sees it: docs/evaluate.md.

Whole processes, imports included, on random runs: with an empty cache, with a filled one, and on
10,000 queries with 1,000 documents each. Time on the clock depends on what else the machine does;
processor time does much less.
"""

import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from benchmarks.tables import table

REPORT = Path("docs/evaluate.md")
WARM = 7
COMMAND = "from rankprompt.cli import main; main()"


class Spent(NamedTuple):
    """Of a process: seconds on the clock and of processors, and the most memory, in bytes."""

    clock: float
    processor: float
    memory: int


def spent(cache: Path, *words: object) -> Spent:
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    environment["RANKPROMPT_CACHE"] = str(cache)
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, *map(str, words)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{words[0]} failed with {process.returncode}")
    clock = time.perf_counter() - started
    # Linux counts kibibytes.
    return Spent(clock, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def write(folder: Path, queries: int, depth: int, runs: int = 1) -> tuple[Path, list[Path]]:
    """Random qrels, 100 judged documents a query, and random runs."""
    rng = random.Random(0)
    folder.mkdir()
    qrels, paths = folder / "qrels.trec", [folder / f"run{n}.trec" for n in range(runs)]
    with qrels.open("w") as file:
        for query in range(queries):
            for document in range(100):
                file.write(f"q{query} 0 d{document * 20} {rng.choice((0, 0, 0, 1, 2, 3))}\n")
    for path in paths:
        with path.open("w") as file:
            for query in range(queries):
                for rank, document in enumerate(rng.sample(range(2000), depth)):
                    file.write(f"q{query} Q0 d{document} {rank + 1} {depth - rank} random\n")
    return qrels, paths


def row(name: str, found: Sequence[Spent]) -> list[str]:
    clock, processor = (
        statistics.median(getattr(one, of) for one in found) for of in ("clock", "processor")
    )
    memory = max(one.memory for one in found)
    fastest = min(one.clock for one in found)
    return [name, f"{clock:.1f}", f"{fastest:.1f}", f"{processor:.1f}", f"{memory / 1e6:,.0f}"]


def report(
    cache: Path, folder: Path, size: str, qrels: Path, runs: Sequence[Path], *more: object
) -> list[str]:
    """The row of a report of these runs; its page's size stands in the name."""
    page = folder / "report.html"
    found = spent(cache, "report", *runs, "--qrels", qrels, "--output", page, *more)
    files = " with `--files`" if more else ""
    kilobytes = page.stat().st_size / 1e3
    return row(f"`report`, {len(runs)} runs of {size}{files} ({kilobytes:,.0f} kB)", [found])


def main() -> None:
    load = os.getloadavg()[0]
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cache = folder / "cache"
        qrels, small = write(folder / "small", 43, 100, 4)
        run, other = small[:2]
        words = ("--qrels", qrels, run)
        for what in ("empty cache", "filled cache"):
            times = 1 if what == "empty cache" else WARM
            found = [spent(cache, "evaluate", *words) for _ in range(times)]
            rows.append(row(f"`evaluate`, 43 x 100, {what}", found))
        found = [spent(cache, "compare", "--baseline", other, *words) for _ in range(3)]
        rows.append(row("`compare`, 2 runs of 43 x 100", found))
        rows.append(report(cache, folder, "43 x 100", qrels, small))
        qrels, wide = write(folder / "wide", 10_000, 100, 4)
        run, other = wide[:2]
        found = [spent(cache, "compare", "--baseline", other, "--qrels", qrels, run)]
        rows.append(row("`compare`, 2 runs of 10,000 x 100", found))
        rows.append(report(cache, folder, "10,000 x 100", qrels, wide))
        rows.append(report(cache, folder, "10,000 x 100", qrels, wide, "--files", folder / "files"))
        qrels, (run,) = write(folder / "deep", 10_000, 1_000)
        size = run.stat().st_size / 1e6
        found = [spent(cache, "evaluate", "--qrels", qrels, run)]
        rows.append(row(f"`evaluate`, 10,000 x 1,000 ({size:,.0f} MB)", found))
    load = max(load, os.getloadavg()[0])
    columns = ["", "seconds", "fastest", "processor seconds", "memory, MB"]
    REPORT.write_text(
        f"""# What scoring costs

Whole processes, imports included; medians of {WARM} with a filled cache, of 3 for the small
`compare`, else of one. The five default measures for `evaluate` and `report`, ndcg@10 for
`compare`. `report` finds all that it scores compiled but its first time.

{table(columns, rows)}

The qrels hold 100 judged documents a query.

- ranx compiles each measure when it is first asked for, once a machine and version: numba keeps the
  code in rankprompt's cache folder (`$RANKPROMPT_CACHE`, else the user's cache), by versions of
  numba, ranx's file and the processor. A measure that nobody asks for is never compiled, and
  nothing is compiled where nothing is scored.
- Of ranx its measures are imported, not pandas, matplotlib and scipy.stats, which the rest of it
  needs and which took half of the time.
- Runs are read a query at a time, where a query's lines stand together: memory grows with the qrels
  and the values by query, not with the run.
- `compare` takes 20,000 draws up to 1,000 queries and 2,000 of 10,000, and says so.

Made by `make bench-evaluate` on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores with a load of
{load:.1f} (where that is above their number, the clock says more than the work takes),
ranx {version("ranx")}, numba {version("numba")}, Python {platform.python_version()}.
"""
    )
    print(REPORT.read_text())


if __name__ == "__main__":
    main()
