"""Which model and stages should be the default? docs/results/default.md.

Candidates are compared on TREC DL 2019's odd queries and on the sample collection; the choice is
shown on DL's even queries, TIME and the T2Ranking sample, which have no say in it. Each row is a
command line that is run as a user would run it. Answers are kept in the cache directory, so that a
second run of this script asks nothing; processor seconds are given for rows that asked everything.
Run with OMP_NUM_THREADS=1. ``--only NAME`` measures one collection.
"""

import argparse
import json
import os
import resource
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from benchmarks.tables import paired, replace_part, table
from rankprompt.eval import parse_measure, score
from rankprompt.files import read_qrels, read_run
from rankprompt.files.cache_directory import cache_dir

DATA = Path("../shared/data")
SAMPLE = Path("rankprompt/datasets/sample/en")
PAGE = Path("docs/results/default.md")
THREADS = os.environ.get("OMP_NUM_THREADS", "all")
NDCG = parse_measure("ndcg@10")
PAIRS = "allpair:smollm2-135m"


class Source(NamedTuple):
    """A collection: the words that name its texts, its qrels, and its rows."""

    texts: tuple[str, ...]
    qrels: Path
    run: Path | None
    depth: int
    rows: tuple[str, ...]


def stages(depth: int, top: int, more: str = "") -> str:
    return f'--stage "pointwise@{depth}" --stage "{PAIRS}@{top}{more}"'


def plain(folder: Path) -> tuple[str, ...]:
    return ("--queries", str(folder / "queries.tsv"), "--docs", str(folder / "docs.jsonl"))


def rows(depth: int, more: str = "", always: str = "") -> tuple[str, ...]:
    """The candidates for the default; a language model reads at most 20 passages a query."""
    few = min(depth, 20)
    chosen = (
        f"--depth {depth}",
        *((f"--depth {few}",) if few < depth else ()),
        f"--depth {few} --method heapsort",
        f"--depth {few} --model smollm2-135m{more.replace(' ', ' --').replace('_', '-')}",
        f"--depth {depth} {stages(depth, 10, more)}",
        f"--depth {depth} {stages(depth, few, more)}",
        f"--depth {depth} {stages(depth, few, more + ' prior=1')}",
    )
    return tuple(f"{words}{always}" for words in chosen)


def sources() -> dict[str, Source]:
    dl, time_, t2 = DATA / "dl19", DATA / "time", DATA / "t2ranking-sample"
    return {
        "sample": Source(plain(SAMPLE), SAMPLE / "qrels.trec", None, 20, rows(20)),
        "dl19": Source(plain(dl), dl / "qrels.trec", dl / "run.bm25.trec", 100, rows(100)),
        "time": Source(
            plain(time_), time_ / "qrels.trec", None, 20,
            (
                "--depth 20",
                "--depth 20 --cascade bm25 --keep 7",
                f"--depth 20 {stages(20, 10, ' passage_tokens=128')}",
            ),
        ),
        "t2ranking": Source(
            ("--dataset", f"t2ranking:{t2}", "--split", "dev"), t2 / "qrels.dev.tsv", None, 20,
            rows(20, " prompt=query-likelihood-zh", " --keep-going"),
        ),
    }  # fmt: skip


class Row(NamedTuple):
    """What a command gave: nDCG@10 by query, and what it asked and took."""

    command: str
    values: Mapping[str, float]
    prompts: int
    tokens: int
    processor_seconds: float | None


def rankprompt(*words: str) -> float:
    """Runs a command; gives its processor seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "rankprompt", *words], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(name: str, source: Source, folder: Path) -> list[Row]:
    first = source.run or folder / f"{name}-bm25.trec"
    if not first.exists():
        rankprompt("retrieve", *source.texts, "--depth", str(source.depth), "--output", str(first))
    qrels = read_qrels(source.qrels)
    measured = [Row("BM25", score(read_run(first), qrels, [NDCG]).by_query[NDCG.name], 0, 0, None)]
    for number, command in enumerate(source.rows):
        started = time.perf_counter()
        output = folder / f"{name}-{number}.trec"
        seconds = rankprompt(
            "rerank", "--quiet", "--run", str(first), *source.texts, *shlex.split(command),
            "--journal", str(folder / f"{name}.journal"), "--output", str(output),
        )  # fmt: skip
        costs = json.loads(output.with_suffix(".json").read_text())["costs"]
        values = score(read_run(output), qrels, [NDCG]).by_query[NDCG.name]
        asked_all = not costs["prompts_from_journal"]
        prompts = costs["prompts"] + costs["prompts_from_journal"]
        measured.append(
            Row(command, values, prompts, costs["prompt_tokens"], seconds if asked_all else None)
        )
        print(f"{name}: {command} ({time.perf_counter() - started:.0f} s)", file=sys.stderr)
    return measured


def report(name: str, measured: Sequence[Row]) -> str:
    baseline = measured[0].values
    cells = []
    for row in measured:
        mean, odd, even, *tests = paired(row.values, baseline)
        seconds = row.processor_seconds
        each = f"{seconds / len(baseline):.2f}" if seconds is not None else ""
        cells.append(
            [f"`{row.command}`" if row.prompts else row.command, mean, odd, even, *tests,
             f"{row.prompts:,}", each]
        )  # fmt: skip
    columns = [
        "options of `rerank`", "nDCG@10", "odd", "even", "wins/ties/losses", "p (t)",
        "p (randomisation)", "prompts", "processor seconds a query",
    ]  # fmt: skip
    made = f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {THREADS} threads"
    command = f"`python -m benchmarks.default_model --only {name}`"
    return f"{len(baseline)} queries.\n\n{table(columns, cells)}\n\n{command} on {made}.\n"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=sources())
    chosen = parser.parse_args().only
    folder = cache_dir("default-model")
    folder.mkdir(parents=True, exist_ok=True)
    for name, source in sources().items():
        if chosen in (None, name) and source.qrels.exists():
            text = report(name, measure(name, source, folder))
            print(text)
            replace_part(PAGE, f"default_model {name}", text)


if __name__ == "__main__":
    main()
