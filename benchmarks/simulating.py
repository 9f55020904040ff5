"""Runs the real rankers with simulated judges, fast: every pair is judged once for all of them."""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import NamedTuple, TypedDict

from rankprompt import Candidates, as_run, rerank
from rankprompt.datasets.candidates import build_candidates, read_candidates
from rankprompt.eval import parse_measure, score
from rankprompt.files import read_documents, read_qrels, read_queries
from rankprompt.judges.registry import make_oracle
from rankprompt.judges.simulated.error_model import parse_error_model
from rankprompt.judges.simulated.pairwise_oracle import PairwiseOracle
from rankprompt.rankers import METHODS, RankerSettings, method
from rankprompt.rankers.driver import drive
from rankprompt.retrieval import bm25
from rankprompt.types import PairwiseQuestion, Qrels

K, DEPTH = 10, 100
NDCG = parse_measure("ndcg@10")


class Variant(NamedTuple):
    """A method with its settings, as ``rankprompt rerank`` takes them; only pairs have an order."""

    method: str
    order: str | None = None
    comparisons: int | None = None

    def __str__(self) -> str:
        budget = f" --comparisons {self.comparisons}" if self.comparisons else ""
        return f"{self.method}{budget}{f' --order {self.order}' if self.order else ''}"

    def applies_to(self, judge: str) -> bool:
        """Whether the judge model defines errors in answers to the method's questions."""
        return self.order is not None or parse_error_model(judge).of_all_kinds


VARIANTS = (
    *(
        Variant(name, order)
        for name in ("allpair", "heapsort", "sliding", "quickselect", "prp-graph")
        for order in ("both", "single")
    ),
    *(Variant("bradley-terry", "single", budget) for budget in (350, 700, 1780)),
    Variant("bradley-terry", "both", 350),
    Variant("bradley-terry,allpair@20", "single", 500),
    Variant("quickselect,allpair@20", "both"),
    Variant("heapsort,allpair@20", "both"),
    *(Variant(name) for name, one in METHODS.items() if one.question is not PairwiseQuestion),
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
        """The mean nDCG@10 of rankings, as indices into each query's candidates."""
        ranked = {
            one.query.id: [one.documents[i].id for i in ranking[:K]]
            for one, ranking in zip(self.candidates, rankings, strict=True)
        }
        return score(as_run(ranked), self.qrels, [NDCG]).means[NDCG.name]


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
    """A judge's answers about all pairs of a collection, in one order or in both."""

    def __init__(self, collection: Collection, judge: str, order: str, seed: int) -> None:
        self._preferences = []
        for query, documents, _ in collection.candidates:
            judge_pairs = PairwiseOracle(
                collection.qrels, errors=parse_error_model(judge), order=order, seed=seed
            )
            pairs = list(combinations(range(len(documents)), 2))
            answers = judge_pairs(
                [PairwiseQuestion(query, documents[i], documents[j]) for i, j in pairs]
            )
            matrix = [[0.5] * len(documents) for _ in documents]
            for (i, j), preference in zip(pairs, answers, strict=True):
                matrix[i][j], matrix[j][i] = preference, 1 - preference
            self._preferences.append(matrix)

    def rank(self, variant: Variant) -> tuple[list[list[int]], float, int]:
        """The rankings, comparisons a query, and the most rounds."""
        ranker = method(variant.method).bind(RankerSettings(K, K, False, variant.comparisons))
        rankings, comparisons, most = [], 0, 0
        for matrix in self._preferences:
            rounds = 0

            def answer(
                pairs: Sequence[tuple[int, int]], matrix: list[list[float]] = matrix
            ) -> list[float]:
                nonlocal rounds, comparisons
                rounds, comparisons = rounds + 1, comparisons + len(pairs)
                return [matrix[i][j] for i, j in pairs]

            rankings.append(drive(ranker(range(len(matrix))), answer))
            most = max(most, rounds)
        return rankings, comparisons / len(rankings), most


def rank_sets(
    collection: Collection, judge: str, seed: int, variant: Variant
) -> tuple[list[list[int]], float, int]:
    """As ``Answers.rank``, for methods whose questions are not pairs."""
    kind = method(variant.method).question
    errors = parse_error_model(judge)
    oracle = make_oracle(kind, collection.qrels, errors, seed=seed)
    ranker = method(variant.method).bind(RankerSettings(K, K, False))
    reranked = rerank(collection.candidates, oracle, ranker, question=kind)
    rankings = []
    for one in collection.candidates:
        indices = {document.id: index for index, document in enumerate(one.documents)}
        rankings.append([indices[name] for name in reranked.rankings[one.query.id]])
    return rankings, oracle.asked / len(rankings), reranked.rounds


class Result(TypedDict):
    ndcg: float
    prompts: float
    rounds: int


Key = tuple[str, str, str, int]


@dataclass
class Results:
    """Results by collection, judge, variant and seed, in a file that grows."""

    path: Path
    by_key: dict[Key, Result] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.path.parent.mkdir(exist_ok=True)
        if self.path.exists():
            for line in self.path.read_text("utf-8").splitlines():
                result = json.loads(line)
                self.by_key[tuple(result.pop("of"))] = result

    def put(self, of: Key, result: Result) -> None:
        self.by_key[of] = result
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"of": of, **result}) + "\n")


def simulate(collections: Sequence[Collection], judges: Sequence[str], results: Results) -> None:
    """Adds the missing results: first the first collection's flips, then seed by seed."""
    flips = [judge for judge in judges if judge.startswith("flip")]
    for collection, some in [(collections[0], flips), *((one, judges) for one in collections)]:
        for seed in range(collection.seeds):
            for judge in some:
                if seed == 0 or judge != "perfect":
                    simulate_seed(collection, judge, seed, results)


def simulate_seed(collection: Collection, judge: str, seed: int, results: Results) -> None:
    started, missing = time.perf_counter(), list(missing_variants(collection, judge, seed, results))
    answers = {
        order: Answers(collection, judge, order, seed)
        for order in {variant.order for variant in missing}
        if order
    }
    for variant in missing:
        rankings, comparisons, rounds = (
            answers[variant.order].rank(variant)
            if variant.order
            else rank_sets(collection, judge, seed, variant)
        )
        results.put(
            (collection.name, judge, str(variant), seed),
            Result(
                ndcg=collection.measure(rankings),
                prompts=comparisons * (1 + (variant.order == "both")),
                rounds=rounds,
            ),
        )
    if missing:
        took = time.perf_counter() - started
        print(f"{collection.name}, {judge}, seed {seed}: {took:.0f} s", file=sys.stderr, flush=True)


def missing_variants(
    collection: Collection, judge: str, seed: int, results: Results
) -> Iterator[Variant]:
    return (
        variant
        for variant in VARIANTS
        if variant.applies_to(judge)
        and (collection.name, judge, str(variant), seed) not in results.by_key
    )
