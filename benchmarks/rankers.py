"""What each method makes of a judge that errs, at which price: docs/rankers.md and its plots.

The real rankers rank real candidates before simulated judges; every pair is judged once for all of
them. The tournament's settings were chosen on DL19; the others show them unchanged. What has been
simulated is kept in .benchmarks/rankers.jsonl, so a run that was cut off goes on; delete that file
after a change to a ranker or a judge.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from itertools import combinations
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any, NamedTuple

from benchmarks.tables import table
from rankprompt import Candidates
from rankprompt.eval import parse_measure, score
from rankprompt.eval.pictures import to_svg
from rankprompt.eval.plots import draw_costs
from rankprompt.files import (
    build_candidates,
    read_candidates,
    read_documents,
    read_qrels,
    read_queries,
    write_atomically,
)
from rankprompt.flows import run
from rankprompt.judge_models import parse_judge_model
from rankprompt.judges import OracleJudge
from rankprompt.records import Comparison, Qrels
from rankprompt.retrieval import bm25
from rankprompt.sample import sample
from rankprompt.sorting import method

REPORT = Path("docs/rankers.md")
KEPT = Path(".benchmarks/rankers.jsonl")
K, DEPTH = 10, 100
NDCG = parse_measure("ndcg@10")
JUDGES = ("perfect", "flip=0.1", "flip=0.2", "flip=0.3", "gap", "gap,bias=0.2", "circle=0.2")
PLOTTED = ("flip=0.2", "gap,bias=0.2")


class Way(NamedTuple):
    """A method with its settings, as ``rankprompt rerank`` takes them."""

    method: str
    order: str
    comparisons: int | None = None

    def __str__(self) -> str:
        budget = f" --comparisons {self.comparisons}" if self.comparisons else ""
        return f"{self.method}{budget} --order {self.order}"


WAYS = (
    *(
        Way(name, order)
        for name in ("allpair", "heapsort", "sliding", "quickselect")
        for order in ("both", "single")
    ),
    *(Way("bradley-terry", "single", budget) for budget in (350, 700, 1780)),
    Way("bradley-terry", "both", 350),
    Way("bradley-terry,allpair@20", "single", 500),
    Way("quickselect,allpair@20", "both"),
    Way("heapsort,allpair@20", "both"),
)


@dataclass
class Collection:
    name: str
    candidates: list[Candidates]
    qrels: Qrels
    seeds: int

    @cached_property
    def first_stage(self) -> float:
        return self.measure([list(range(len(one.documents))) for one in self.candidates])

    def measure(self, rankings: Sequence[Sequence[int]]) -> float:
        """The mean nDCG@10 of rankings, given as places among each query's candidates."""
        ranked = {
            one.query.id: {one.documents[i].id: float(-rank) for rank, i in enumerate(ranking[:K])}
            for one, ranking in zip(self.candidates, rankings, strict=True)
        }
        return score(ranked, self.qrels, [NDCG]).means[NDCG.name]


def dl19(data: Path, seeds: int) -> Collection:
    folder = data / "dl19"
    _, candidates, _ = read_candidates(
        folder / "run.bm25.trec", folder / "queries.tsv", folder / "docs.jsonl", depth=DEPTH
    )
    return Collection("DL19", candidates, read_qrels(folder / "qrels.trec"), seeds)


def by_bm25(name: str, folder: Path, seeds: int) -> Collection:
    qrels = read_qrels(folder / "qrels.trec")
    queries = {
        name: text for name, text in read_queries(folder / "queries.tsv").items() if name in qrels
    }
    documents = read_documents(folder / "docs.jsonl")
    candidates, _ = build_candidates(bm25(queries, documents, depth=DEPTH), queries, documents)
    return Collection(name, candidates, qrels, seeds)


class Answers:
    """All that a judge would say about a collection's pairs, in one order or in both."""

    def __init__(self, collection: Collection, judge: str, order: str, seed: int) -> None:
        self._preferences = []
        for query, documents, _ in collection.candidates:
            asked = OracleJudge(
                collection.qrels, errors=parse_judge_model(judge), order=order, seed=seed
            )
            pairs = list(combinations(range(len(documents)), 2))
            told = asked([Comparison(query, documents[i], documents[j]) for i, j in pairs])
            matrix = [[0.5] * len(documents) for _ in documents]
            for (i, j), preference in zip(pairs, told, strict=True):
                matrix[i][j], matrix[j][i] = preference, 1 - preference
            self._preferences.append(matrix)

    def rank(self, way: Way) -> tuple[list[list[int]], float, int]:
        """The rankings, comparisons a query, and the most rounds."""
        ranker = method(way.method).ranker(K, K, False, way.comparisons)
        rankings, comparisons, most = [], 0, 0
        for matrix in self._preferences:
            rounds = 0

            def answer(
                pairs: Sequence[tuple[int, int]], matrix: list[list[float]] = matrix
            ) -> list[float]:
                nonlocal rounds, comparisons
                rounds, comparisons = rounds + 1, comparisons + len(pairs)
                return [matrix[i][j] for i, j in pairs]

            rankings.append(run(ranker(range(len(matrix))), answer))
            most = max(most, rounds)
        return rankings, comparisons / len(rankings), most


@dataclass
class Kept:
    """Results by collection, judge, way and seed, in a file that grows."""

    path: Path
    found: dict[tuple[Any, ...], dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.path.parent.mkdir(exist_ok=True)
        if self.path.exists():
            for line in self.path.read_text("utf-8").splitlines():
                one = json.loads(line)
                self.found[tuple(one["of"])] = one

    def put(self, of: tuple[Any, ...], **found: Any) -> None:
        self.found[of] = found
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"of": of, **found}) + "\n")


def simulate(collections: Sequence[Collection], judges: Sequence[str], kept: Kept) -> None:
    """Fills in what is not kept yet: first the first collection's flips, then seed by seed."""
    flips = [judge for judge in judges if judge.startswith("flip")]
    for collection, some in [(collections[0], flips), *((one, judges) for one in collections)]:
        for seed in range(collection.seeds):
            for judge in some:
                if seed == 0 or judge != "perfect":
                    simulate_seed(collection, judge, seed, kept)


def simulate_seed(collection: Collection, judge: str, seed: int, kept: Kept) -> None:
    started, missing = time.perf_counter(), list(lacking(collection, judge, seed, kept))
    answers = {
        order: Answers(collection, judge, order, seed) for order in {way.order for way in missing}
    }
    for way in missing:
        rankings, comparisons, rounds = answers[way.order].rank(way)
        kept.put(
            (collection.name, judge, str(way), seed),
            ndcg=collection.measure(rankings),
            prompts=comparisons * (1 + (way.order == "both")),
            rounds=rounds,
        )
    if missing:
        took = time.perf_counter() - started
        print(f"{collection.name}, {judge}, seed {seed}: {took:.0f} s", file=sys.stderr, flush=True)


def lacking(collection: Collection, judge: str, seed: int, kept: Kept) -> Iterator[Way]:
    return (way for way in WAYS if (collection.name, judge, str(way), seed) not in kept.found)


def values(collection: Collection, judge: str, way: Way, kept: Kept) -> list[dict[str, Any]]:
    """What is kept of a way before a judge, a seed each."""
    of = ((collection.name, judge, str(way), seed) for seed in range(collection.seeds))
    return [kept.found[one] for one in of if one in kept.found]


def rows(collection: Collection, judges: Sequence[str], kept: Kept) -> Iterator[list[str]]:
    """A row a way: prompts a query, the most rounds, nDCG@10 with its deviation by judge."""
    for way in WAYS:
        of = {judge: values(collection, judge, way, kept) for judge in judges}
        every = [one for found in of.values() for one in found]
        cells = []
        for found in of.values():
            reached = [one["ndcg"] for one in found]
            spread = f" ± {pstdev(reached):.3f}" if len(reached) > 1 else ""
            cells.append(f"{fmean(reached):.3f}{spread}")
        prompts = fmean(one["prompts"] for one in every)
        yield [f"`{way}`", f"{prompts:,.0f}", f"{max(one['rounds'] for one in every):,}", *cells]


def plot(collection: Collection, judge: str, kept: Kept) -> str:
    """Draws quality against prompts; gives the line that shows it."""
    points = {}
    for way in WAYS:
        found = values(collection, judge, way, kept)
        points[str(way).replace("--", "")] = (
            fmean(one["prompts"] for one in found), fmean(one["ndcg"] for one in found)
        )  # fmt: skip
    means = {"BM25": collection.first_stage} | {name: value for name, (_, value) in points.items()}
    figure = draw_costs(points, means, "prompts a query", f"nDCG@10, {judge}")
    name = f"rankers-{judge.replace('=', '').replace(',', '-').replace('.', '')}.svg"
    write_atomically(REPORT.parent / name, to_svg(figure))
    return f"![{collection.name}, {judge}: nDCG@10 against prompts a query]({name})"


def report(collections: Sequence[Collection], judges: Sequence[str], kept: Kept) -> str:
    parts = []
    for one in collections:
        seeds = {judge: min(len(values(one, judge, way, kept)) for way in WAYS) for judge in judges}
        done = [judge for judge in judges if seeds[judge]]
        if done:
            found = table(["method", "prompts", "rounds", *done], list(rows(one, done, kept)))
            counts = ", ".join(f"{judge} {seeds[judge]}" for judge in done if judge != "perfect")
            parts.append(
                f"## {one.name}\n\n{len(one.candidates)} queries; BM25 itself has "
                f"{one.first_stage:.3f}. Seeds: {counts}.\n\n{found}\n"
            )
            if one is collections[0]:
                parts += [plot(one, judge, kept) + "\n" for judge in PLOTTED if judge in done]
    return "\n".join(parts)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seeds", type=int, default=20, help="of the judges' errors, on DL19")
    parser.add_argument("--other-seeds", type=int, default=5, help="on the other collections")
    parser.add_argument(
        "--report", action="store_true", help="write the report of what is kept, and no more"
    )
    parser.add_argument("--fitted", action="append", default=[], help="a judge model to add")
    given = parser.parse_args(arguments)
    if not given.data.is_dir():
        sys.exit(f"{given.data} is absent; give the collections' folder with --data")
    judges, kept = [*JUDGES, *given.fitted], Kept(KEPT)
    collections = [
        dl19(given.data, given.seeds),
        by_bm25("TIME", given.data / "time", given.other_seeds),
        by_bm25("Sample", sample("en"), given.other_seeds),
    ]
    if not given.report:
        simulate(collections, judges, kept)
    made = (
        f"Made by `make bench-rankers` on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores, "
        f"Python {platform.python_version()}."
    )
    text = (Path(__file__).parent / "rankers.md").read_text("utf-8")
    text = text.replace("{tables}", report(collections, judges, kept)).replace("{made}", made)
    print(text)
    write_atomically(REPORT, text)


if __name__ == "__main__":
    main()
