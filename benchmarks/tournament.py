"""What errors of the judge do to each method: the tables in docs/tournament.md.

The real rankers rank real candidates before a judge that reads the grades and errs in a given
share of the pairs. The tournament's settings were chosen on DL19; TIME shows them unchanged.
"""

import argparse
import os
import platform
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import fmean, pstdev
from typing import NamedTuple

from benchmarks.tables import table
from rankprompt import Candidates, rerank
from rankprompt.eval import parse_measure, score
from rankprompt.files import (
    build_candidates,
    read_candidates,
    read_documents,
    read_qrels,
    read_queries,
)
from rankprompt.judges import OracleJudge
from rankprompt.records import Qrels
from rankprompt.retrieval import bm25
from rankprompt.sorting import METHODS, Ranker, bradley_terry

REPORT = Path("docs/tournament.md")
K, DEPTH = 10, 100
NOISES = (0.0, 0.1, 0.2, 0.3)
OTHERS = ("allpair", "heapsort", "sliding", "quickselect")
BUDGETS = (350, 700, 1780)
NDCG = parse_measure("ndcg@10")


class Collection(NamedTuple):
    name: str
    candidates: list[Candidates]
    qrels: Qrels


def dl19(data: Path) -> Collection:
    folder = data / "dl19"
    _, candidates, _ = read_candidates(
        folder / "run.bm25.trec", folder / "queries.tsv", folder / "docs.jsonl", depth=DEPTH
    )
    return Collection("DL19", candidates, read_qrels(folder / "qrels.trec"))


def time_collection(data: Path) -> Collection:
    folder = data / "time"
    qrels = read_qrels(folder / "qrels.trec")
    queries = {
        name: text for name, text in read_queries(folder / "queries.tsv").items() if name in qrels
    }
    documents = read_documents(folder / "docs.jsonl")
    candidates, _ = build_candidates(bm25(queries, documents, depth=DEPTH), queries, documents)
    return Collection("TIME", candidates, qrels)


def rankers() -> dict[str, Ranker]:
    found: dict[str, Ranker] = {name: METHODS[name].ranker(K, K, False) for name in OTHERS}
    for budget in BUDGETS:
        found[f"bradley-terry, {budget:,}"] = partial(bradley_terry, k=K, budget=budget)
    found["bradley-terry, 700, no prior"] = partial(bradley_terry, k=K, budget=700, prior=0)
    return found


def measure(collection: Collection, ranker: Ranker, seeds: int) -> list[str]:
    """Comparisons a query, the most rounds, and nDCG@10 by noise with its deviation by seed."""
    asked, rounds, cells = [], 0, []
    for noise in NOISES:
        values = []
        for seed in range(seeds if noise else 1):
            judge = OracleJudge(collection.qrels, noise=noise, seed=seed)
            ranked = rerank(collection.candidates, judge, ranker)
            run = {
                query: {name: float(-rank) for rank, name in enumerate(names)}
                for query, names in ranked.rankings.items()
            }
            values.append(score(run, collection.qrels, [NDCG]).means[NDCG.name])
            asked.append(judge.asked / len(collection.candidates))
            rounds = max(rounds, ranked.rounds)
        cells.append(f"{fmean(values):.3f}" + (f" ± {pstdev(values):.3f}" if noise else ""))
    return [f"{fmean(asked):,.0f}", f"{rounds:,}", *cells]


def report(collection: Collection, seeds: int) -> str:
    rows = []
    for name, ranker in rankers().items():
        started = time.perf_counter()
        rows.append([name, *measure(collection, ranker, seeds)])
        took = time.perf_counter() - started
        print(collection.name, *rows[-1], f"({took:.0f} s)", sep=" | ", file=sys.stderr, flush=True)
    columns = ["method", "comparisons a query", "rounds", *(f"{noise:.0%}" for noise in NOISES)]
    return f"## {collection.name}, {len(collection.candidates)} queries\n\n{table(columns, rows)}\n"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seeds", type=int, default=3, help="of the judge's errors")
    given = parser.parse_args(arguments)
    if not given.data.is_dir():
        sys.exit(f"{given.data} is absent; give the collections' folder with --data")
    started = time.perf_counter()
    parts = [report(one, given.seeds) for one in (dl19(given.data), time_collection(given.data))]
    tables = "\n".join(parts)
    minutes = (time.perf_counter() - started) / 60
    text = f"""\
# A judge that errs, and what each method makes of it

nDCG@10 of BM25's first {DEPTH}, reranked for the top {K} by a judge that reads the grades and errs
in the given share of the pairs; mean and standard deviation over {given.seeds} seeds of its errors.
Equal grades are a tie, which it always sees. A comparison is one answer about a pair, always the
same: with `--order single` it costs one prompt, with `--order both` two, and then fewer answers
are wrong (where the orders disagree, it is a tie). `pipelined` ranks as `sliding` does, in fewer
rounds; rounds are those of the slowest query in any of the runs.

{tables}
## The tournament

`bradley-terry` (`rankprompt/sorting/bradley_terry.py`) lets all documents play for some rounds,
then the better half, down to the best {2 * K}, then asks the pairs whose order is in doubt and
matters to nDCG. Strengths come from a Bradley-Terry fit in which any answer may be a lapse. Without
`budget` it asks 7 comparisons for each document.

Its settings are those that did best on DL19, with errors drawn otherwise than here. TIME was in
view while they were tried, so its figures show that they carry over, not a blind choice.

Made by `make bench-tournament` on {datetime.now(UTC):%Y-%m-%d} in {minutes:.0f} minutes:
{os.cpu_count()} cores, Python {platform.python_version()}.
"""
    print(text)
    REPORT.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
