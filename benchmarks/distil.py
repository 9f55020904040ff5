"""How well does a distilled head rank queries that took no part in the fit? docs/distil.md.

The queries of TREC DL 2019 are split in halves by a seed. The embedded cross-encoder teaches on the
candidates of one half; on the other half, teacher, student and the plain model's query likelihood
rerank BM25's first candidates. Answers and the student stay in the output folder, so that a second
run asks nothing. Run with OMP_NUM_THREADS=1.
"""

import argparse
import platform
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path

from benchmarks.tables import table
from rankprompt.distil.config import DistilConfig
from rankprompt.distil.job import distil
from rankprompt.eval import ndcg_at_10
from rankprompt.files import read_qrels, read_run, write_run
from rankprompt.files.cache_directory import cache_dir
from rankprompt.pipeline.config import RerankConfig
from rankprompt.pipeline.config_keywords import config_from_options
from rankprompt.pipeline.rerank import run_rerank
from rankprompt.rankers.seeded_random import uniform
from rankprompt.types import Qrels, Run

TEACHER = "ms-marco-minilm-l12"


def pairs_right(run: Run, qrels: Qrels) -> tuple[float, int]:
    """The share of judged pairs of unequal grades in the right order, and how many there are."""
    right = total = 0
    for query, scores in run.items():
        grades = qrels.get(query, {})
        judged = [grades[name] for name in scores if name in grades]
        for above, below in combinations(judged, 2):
            total += above != below
            right += above > below
    return right / total, total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--collection", type=Path, default=Path("../shared/data/dl19"))
    parser.add_argument("--output", type=Path, default=cache_dir("benchmarks", "distil"))
    parser.add_argument("--depth", type=int, default=100, help="candidates to learn from")
    parser.add_argument("--unseen-depth", type=int, default=30, help="candidates to rerank")
    parser.add_argument("--pairs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    first = read_run(given.collection / "run.bm25.trec")
    qrels = read_qrels(given.collection / "qrels.trec")
    ordered = sorted(first, key=lambda query: uniform(given.seed, "half", query))
    halves = ordered[: len(ordered) // 2], ordered[len(ordered) // 2 :]
    paths = [given.output / name for name in ("learn.trec", "unseen.trec")]
    for path, half in zip(paths, halves, strict=True):
        write_run(path, {query: list(first[query]) for query in half}, "bm25")
    texts = {
        "queries": given.collection / "queries.tsv",
        "docs": given.collection / "docs.jsonl",
        "seed": given.seed,
    }
    folder = given.output / "student"
    if not folder.exists():
        learn = {**texts, "run": paths[0], "depth": given.depth, "model": TEACHER}
        made = distil(
            DistilConfig(folder, config_from_options(RerankConfig(), learn), pairs=given.pairs)
        )
        print(
            f"trained in {made.seconds:.0f} s on {made.pairs:,} pairs, {made.passages:,} passages "
            f"of {made.tokens:,} tokens: penalty {made.head.penalty:g}, {made.head.learned:.3f} of "
            f"the pairs right, {made.head.right:.3f} in validation",
            flush=True,
        )
    models = {
        "teacher": {"model": TEACHER},
        "student": {"model": str(folder)},
        "query likelihood": {"model": "smollm2-135m", "prompt": "query-likelihood"},
    }
    unseen = {query: dict(list(first[query].items())[: given.unseen_depth]) for query in halves[1]}
    judged = {query: qrels[query] for query in halves[1]}
    runs: dict[str, Run] = {"BM25": unseen}
    for name, model in models.items():
        path = given.output / f"{name.replace(' ', '-')}.trec"
        more = {**texts, "run": paths[1], "depth": given.unseen_depth, "output": path}
        config = config_from_options(RerankConfig(), {**more, **model, "method": "pointwise"})
        run_rerank(config)
        ranked = read_run(path)
        runs[name] = {q: dict(list(one.items())[: given.unseen_depth]) for q, one in ranked.items()}
        print(name, pairs_right(runs[name], judged), flush=True)
    print(f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {len(halves[1])} unseen queries")
    rows = []
    for name, run in runs.items():
        right, total = pairs_right(run, judged)
        rows.append([name, f"{right:.3f}", f"{total:,}", f"{ndcg_at_10(judged)(run):.4f}"])
    print(table(["", "judged pairs right", "of", "nDCG@10"], rows))


if __name__ == "__main__":
    main()
