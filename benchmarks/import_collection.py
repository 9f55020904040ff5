"""What importing a collection of T2Ranking's size costs: the table in docs/import.md.

The collection is drawn at random, in the form and size of T2Ranking's: 2.3 million passages, 3.7 GB
of UTF-8. Each step runs in a process of its own, so that its peak memory is its own. Everything is
made in a temporary folder (give one with 8 GB free by TMPDIR) and deleted at the end.
"""

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path

from rankprompt.datasets import open_collection
from rankprompt.files.cache_directory import cache_dir

REPORT = Path("docs/import.md")
PASSAGES, FETCHED = 2_300_000, 1_000
WORDS, SENTENCES, LENGTH = 20_000, 200_000, 22


def generate(folder: Path, passages: int) -> None:
    rng = random.Random(0)
    words = [
        "".join(chr(rng.randint(0x4E00, 0x6FFF)) for _ in range(rng.choice((1, 2, 2, 2, 3))))
        for _ in range(WORDS)
    ]
    # Zipf's law, shifted as Mandelbrot's.
    frequency = list(accumulate(1 / (place + 3) for place in range(WORDS)))
    sentences = [
        "".join(rng.choices(words, cum_weights=frequency, k=rng.randint(6, 18)))
        + rng.choice(",。,;")
        for _ in range(SENTENCES)
    ]
    with (folder / "collection.tsv").open("w", encoding="utf-8") as file:
        file.write("pid\ttext\n")
        for pid in range(passages):
            texts = rng.choices(sentences, k=rng.randint(2, 2 * LENGTH - 2))
            file.write(f"{pid}\t{'<br>'.join(texts) if pid % 50 == 0 else ''.join(texts)}\n")
    (folder / "queries.dev.tsv").write_text("qid\ttext\n0\t问题\n", encoding="utf-8")


def resident_peak() -> float:
    """This process's most resident memory so far, in MiB (Linux)."""
    # Not getrusage's: it starts at the size of the process that this one was forked from.
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def start(folder: Path) -> dict[str, float]:
    """Opens the collection, fetches random passages; figures of this process."""
    started = time.perf_counter()
    documents = open_collection(f"t2ranking:{folder}").documents()
    opened = time.perf_counter()
    ids = [str(pid) for pid in random.Random(1).sample(range(len(documents)), FETCHED)]
    found = documents.get(ids)
    fetched = time.perf_counter()
    assert found.keys() == set(ids)
    peak = resident_peak()
    return {
        "documents": len(documents),
        "open": opened - started,
        "fetch": fetched - opened,
        "peak": peak,
    }


def iterate(folder: Path) -> dict[str, float]:
    started = time.perf_counter()
    count = sum(1 for _ in open_collection(f"t2ranking:{folder}").documents())
    peak = resident_peak()
    return {"documents": count, "open": time.perf_counter() - started, "peak": peak}


def apart(step: str, folder: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.import_collection", "--step", step, str(folder)]
    figures: dict[str, float] = json.loads(subprocess.check_output(command))
    return figures


def report(folder: Path, passages: int) -> str:
    from benchmarks.tables import table  # not above: numpy would count in each step's memory

    generate(folder, passages)
    source = (folder / "collection.tsv").stat().st_size / 2**20
    first, second, whole = (apart(step, folder) for step in ("start", "start", "iterate"))
    stored = sum(path.stat().st_size for path in cache_dir("collections").iterdir()) / 2**20
    assert first["documents"] == second["documents"] == whole["documents"] == passages
    rows = [
        ["first start: import", f"{first['open']:.0f} s", f"{first['peak']:.0f} MiB"],
        ["second start", f"{second['open']:.3f} s", f"{second['peak']:.0f} MiB"],
        [f"fetching {FETCHED:,} random passages", f"{second['fetch']:.2f} s", "the same process"],
        ["reading all in order", f"{whole['open']:.0f} s", f"{whole['peak']:.0f} MiB"],
    ]
    return f"""\
# Importing a collection of T2Ranking's size

A collection is imported once into a store in the cache, then found again by its content. Drawn at
random in T2Ranking's form: {passages:,} passages, {source:,.0f} MiB. Peak memory is the whole
process's.

{table(["step", "time", "peak memory"], rows)}

The store takes {stored:,.0f} MiB, {stored / source:.0%} of the file. The files were written just
before, so what reads them may find them in the system's memory.

Made by `python -m benchmarks.import_collection` on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()}
cores, Python {platform.python_version()}.
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--passages", type=int, default=PASSAGES, help="50,000 at least: less is not imported"
    )
    parser.add_argument("--step", choices=("start", "iterate"))
    parser.add_argument("folder", nargs="?", type=Path)
    arguments = parser.parse_args()
    if arguments.step:
        print(json.dumps({"start": start, "iterate": iterate}[arguments.step](arguments.folder)))
        return
    with tempfile.TemporaryDirectory() as folder:
        os.environ["RANKPROMPT_CACHE"] = str(Path(folder) / "cache")
        text = report(Path(folder), arguments.passages)
    if arguments.passages == PASSAGES:
        REPORT.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
