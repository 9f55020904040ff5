"""How well does a distilled head rank queries that took no part in the fit? docs/distil.md.

The queries of TREC DL 2019 are split in halves by a seed. The embedded cross-encoder teaches a
student on the candidates of each half, alone and with queries that SmolLM2 has written for passages
of the collection; the student ranks the other half, so that every query is ranked by a student that
has not learnt from it. Answers and students stay in the output folder, so that a second run asks
nothing. Run with OMP_NUM_THREADS=1.
"""

import argparse
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Any

from benchmarks.tables import replace_part, table
from rankprompt.api.evaluation import compare
from rankprompt.distil.config import ASKED, DistilConfig, GenerationConfig
from rankprompt.distil.generated_queries import generate_queries
from rankprompt.distil.job import distil
from rankprompt.distil.lora_config import LoraConfig
from rankprompt.distil.lora_job import distil_lora
from rankprompt.eval import ndcg_at_10
from rankprompt.files import read_qrels, read_queries, read_run, write_run
from rankprompt.files.cache_directory import cache_dir
from rankprompt.pipeline.config import RerankConfig
from rankprompt.pipeline.config_keywords import config_from_options
from rankprompt.pipeline.rerank import run_rerank
from rankprompt.rankers.seeded_random import uniform
from rankprompt.retrieval.first_stage import RetrievalConfig, retrieve
from rankprompt.types import Qrels, Run

TEACHER = "ms-marco-minilm-l12"
PAGE = Path("docs/distil.md")
WRITER = "benchmarks/distil.py"
GENERATED, GENERATED_DEPTH = 400, 10
"""How many queries are written for passages, and how many candidates of each are learnt from."""
HEAD, MORE, ADAPTER = (
    "a head", "a head, with generated queries", "an adapter, with generated queries",
)  # fmt: skip
PAIRS = {HEAD: 20_000, MORE: 40_000, ADAPTER: 20_000}
ADAPTER_DEPTH = 40  # an adapter reads each passage anew in each step
UNSEEN = 30  # candidates to rank
SHOWN = 20  # of which nDCG@10 is taken of the first


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


class Bench:
    """The collection, the generated queries, and the students of both halves."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.output, self.seed, self.depth = given.output, given.seed, given.depth
        self.docs, self.queries = given.collection / "docs.jsonl", given.output / "queries.tsv"
        self.first = read_run(given.collection / "run.bm25.trec")
        ordered = sorted(self.first, key=lambda query: uniform(given.seed, "half", query))
        self.halves = ordered[: len(ordered) // 2], ordered[len(ordered) // 2 :]
        generated = given.output / "generated.tsv"
        candidates = given.output / "generated.trec"
        if not candidates.exists():
            asked = config_from_options(ASKED, {"docs": self.docs, "output": generated})
            made = generate_queries(GenerationConfig(asked, GENERATED))
            print(
                f"{len(made.queries)} queries in {made.seconds:.0f} s; {made.dropped}", flush=True
            )
            retrieve(
                RetrievalConfig(
                    candidates, queries=generated, docs=self.docs, depth=GENERATED_DEPTH
                )
            )
        self.generated = read_run(candidates)
        texts = read_queries(given.collection / "queries.tsv") | read_queries(generated)
        self.queries.write_text("".join(f"{name}\t{text}\n" for name, text in texts.items()))

    def options(self, name: str, run: Run, depth: int) -> dict[str, Any]:
        path = self.output / f"{name}.trec"
        write_run(path, {query: list(scores) for query, scores in run.items()}, "bm25")
        return {
            "run": path, "queries": self.queries, "docs": self.docs, "depth": depth,
            "seed": self.seed,
        }  # fmt: skip

    def student(self, kind: str, half: int) -> Path:
        """The folder of a student that has learnt from a half."""
        folder: Path = self.output / f"{kind.replace(', ', '-').replace(' ', '-')}-{half}"
        if folder.exists():
            return folder
        run = {query: self.first[query] for query in self.halves[half]}
        if kind != HEAD:
            run |= self.generated
        depth = ADAPTER_DEPTH if kind == ADAPTER else self.depth
        teacher = self.options(f"learn-{folder.name}", run, depth) | {"model": TEACHER}
        if kind == ADAPTER:
            distil_lora(
                DistilConfig(
                    folder, config_from_options(RerankConfig(), teacher), pairs=PAIRS[kind]
                ),
                LoraConfig(epochs=1, learning_rate=7e-4),
            )
            return folder
        made = distil(
            DistilConfig(folder, config_from_options(RerankConfig(), teacher), pairs=PAIRS[kind])
        )
        print(
            f"{folder.name}: {made.pairs:,} pairs of {made.queries} queries, {made.passages:,} "
            f"passages of {made.tokens:,} tokens in {made.seconds:.0f} s; penalty "
            f"{made.head.penalty:g}, {made.head.right:.3f} right and nDCG@10 {made.head.ndcg:.3f} "
            "in cross-validation",
            flush=True,
        )
        return folder

    def ranked(self, name: str, half: int, **model: Any) -> Run:
        """How a model ranks the first candidates of a half."""
        unseen = {query: self.first[query] for query in self.halves[half]}
        path = self.output / f"{name}-{half}.trec"
        options = self.options(f"unseen-{half}", unseen, UNSEEN) | {
            "output": path, "method": "pointwise", **model,
        }  # fmt: skip
        if not path.exists():
            run_rerank(config_from_options(RerankConfig(), options))
        return read_run(path)


def top(run: Run, first: Run, depth: int) -> Run:
    """A run with those of its documents that the first stage ranks among the first ones."""
    return {
        query: {name: score for name, score in scores.items() if name in [*first[query]][:depth]}
        for query, scores in run.items()
    }


def measured(runs: dict[str, Run], bench: Bench, qrels: Qrels) -> str:
    """A table of all runs, and the tests of the differences between them."""
    rows: list[list[str]] = []
    for name, run in runs.items():
        right = [
            pairs_right(top({q: run[q] for q in half}, bench.first, UNSEEN), qrels)[0]
            for half in bench.halves
        ]
        whole, total = pairs_right(top(run, bench.first, UNSEEN), qrels)
        rows.append(
            [name, f"{whole:.3f}", f"{right[0]:.3f}, {right[1]:.3f}"]
            + [
                f"{ndcg_at_10(qrels)(top(run, bench.first, depth)):.4f}"
                for depth in (SHOWN, UNSEEN)
            ]
        )
    columns = ["", "judged pairs right", "by half", f"nDCG@10 of {SHOWN}", f"of {UNSEEN}"]
    return (
        f"{table(columns, rows)}\n\nPairs: {total:,} judged ones of unequal grades among the first "
        f"{UNSEEN}.\n\n{tests(runs, bench.first, qrels)}"
    )


def tests(runs: dict[str, Run], first: Run, qrels: Qrels) -> str:
    """Paired tests of nDCG@10 of the students against the others."""
    rows = []
    shown = {name: top(run, first, SHOWN) for name, run in runs.items()}
    for baseline in ("BM25", "query likelihood"):
        others = {name: run for name, run in shown.items() if name in PAIRS}
        for one in compare(qrels, others, baseline=shown[baseline]).records:
            low, high = one["low"], one["high"]
            rows.append(
                [
                    str(one["run"]), baseline, f"{one['difference']:+.4f}",
                    f"{low:+.4f} to {high:+.4f}", f"{one['randomisation']:.4f}",
                    f"{one['holm']:.4f}",
                ]
            )  # fmt: skip
    columns = ["", "against", f"nDCG@10 of {SHOWN}", "95%", "p (randomisation)", "Holm"]
    return table(columns, rows)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--collection", type=Path, default=Path("../shared/data/dl19"))
    parser.add_argument("--output", type=Path, default=cache_dir("benchmarks", "distil"))
    parser.add_argument("--depth", type=int, default=100, help="candidates to learn from")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--adapter", action="store_true", help="train adapters, too: two hours")
    return parser.parse_args(arguments)


def main() -> None:
    given = parse()
    given.output.mkdir(parents=True, exist_ok=True)
    bench, qrels = Bench(given), read_qrels(given.collection / "qrels.trec")
    likelihood = {"model": "smollm2-135m", "prompt": "query-likelihood"}
    runs: dict[str, Run] = {"BM25": bench.first}
    for name, model in {"query likelihood": likelihood, "teacher": {"model": TEACHER}}.items():
        runs[name] = {}
        for half in (0, 1):
            found = bench.ranked(name.replace(" ", "-"), half, **model)
            runs[name] = {**runs[name], **found}
    for kind in PAIRS if given.adapter else (HEAD, MORE):
        runs[kind] = {}
        for half in (0, 1):
            folder = bench.student(kind, half)
            found = bench.ranked(f"by-{folder.name}", 1 - half, model=str(folder))
            runs[kind] = {**runs[kind], **found}
    text = (
        f"`make bench-distil`, {datetime.now(UTC):%Y-%m-%d}, one core of {platform.machine()}, "
        f"seed {given.seed}.\n\n{measured(runs, bench, qrels)}\n"
    )
    print(text)
    if given.seed == 0:
        replace_part(PAGE, WRITER, text)


if __name__ == "__main__":
    main()
