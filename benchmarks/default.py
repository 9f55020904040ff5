"""What makes the embedded model a useful pairwise judge? The table in docs/default.md.

Two looks at DL19's BM25 run (43 queries, its first 20 passages): how often a judge prefers the
passage with the higher grade, on pairs drawn from every query, and what nDCG@10 a reranking by it
reaches. Answers are kept in .benchmarks/, so a run that was cut off goes on.
"""

import argparse
import os
import platform
import random
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.tables import note, paired, table
from rankprompt import Candidates, Comparison
from rankprompt.datasets.candidates import build_candidates
from rankprompt.datasets.sample import sample
from rankprompt.eval import parse_measure, score
from rankprompt.files import read_documents, read_qrels, read_queries, read_run
from rankprompt.journal.cached_model import Answering
from rankprompt.journal.store import Journal
from rankprompt.judges.adapters.pairwise import reading
from rankprompt.judges.first_stage_prior import PriorJudge
from rankprompt.judges.pairwise import PairwiseJudge
from rankprompt.llm import Answer, LanguageModel, Request, load_model
from rankprompt.pipeline.config import EMBEDDED_PROMPT
from rankprompt.prompts.prompt import load_prompt
from rankprompt.rankers import METHODS, allpair
from rankprompt.rankers.reranking import merge, rerank
from rankprompt.retrieval import bm25
from rankprompt.types import Qrels

DEPTH = 20
MEASURE = parse_measure("ndcg@10")
REPORT = Path("docs/default.md")


class Trial(NamedTuple):
    """A judge to try: the flags of `rankprompt rerank` that make it."""

    prompt: str
    order: str = "both"
    decide: str = "soft"
    mode: str = "scoring"
    prior: float = 0.0

    @property
    def flags(self) -> str:
        mode = " --mode generation" if self.mode == "generation" else ""
        order = f" --order {self.order}" if self.ordered else ""
        prior = f" --prior {self.prior:g}" if self.prior else ""
        return f"--prompt {self.prompt}{mode}{order} --decide {self.decide}{prior}"

    @property
    def ordered(self) -> bool:
        return reading(load_prompt(self.prompt), self.mode).ordered


PAIR_TRIALS = [
    Trial("prp", decide="agreement", mode="generation"),
    Trial("prp", decide="agreement"),
    Trial("prp"),
    Trial("prp", order="single"),
    Trial("prp-demonstrations", decide="agreement"),
    Trial("prp-demonstrations"),
    Trial("contrast"),
    Trial("query-likelihood"),
    Trial("query-likelihood-chat"),
    Trial("query-likelihood-demonstrations"),
]
# A method for each: one passage at a time makes all pairs as cheap as a few.
RERANK_TRIALS = [
    *[
        (Trial(prompt, prior=prior), "allpair")
        for prompt in (
            "query-likelihood",
            "query-likelihood-chat",
            "query-likelihood-demonstrations",
        )
        for prior in (0.0, 0.05, 0.1, 0.2, 0.5)
    ],
    (Trial("prp", decide="agreement"), "heapsort"),
    (Trial("contrast", order="single"), "heapsort"),
]


class Counting(Answering):
    """Knows how many different prompts were put to it, new or from the journal."""

    def __init__(self, model: LanguageModel, journal: Journal) -> None:
        super().__init__(model, journal)
        self.seen: set[Request] = set()

    def __call__(self, requests: Sequence[Request]) -> tuple[list[Answer | None], list[bool]]:
        self.seen.update(requests)
        return super().__call__(requests)


class Bench:
    """The collection, the model and its journal."""

    def __init__(self, data: Path, limit: int | None) -> None:
        self.first_stage = read_run(data / "run.bm25.trec")
        self.qrels = read_qrels(data / "qrels.trec")
        self.candidates, _ = build_candidates(
            self.first_stage,
            read_queries(data / "queries.tsv"),
            read_documents(data / "docs.jsonl"),
            depth=DEPTH,
            limit=limit,
        )
        folder = Path(".benchmarks")
        folder.mkdir(exist_ok=True)
        self.answering = Counting(load_model("smollm2-135m"), Journal(folder / "default.journal"))

    def judge(self, trial: Trial) -> tuple[PairwiseJudge, PriorJudge]:
        judge = PairwiseJudge(
            self.answering,
            reading(load_prompt(trial.prompt), trial.mode),
            order=trial.order,
            decide=trial.decide,
        )
        return judge, PriorJudge(judge, self.candidates, trial.prior)


def draw_pairs(candidates: Sequence[Candidates], qrels: Qrels, each: int) -> list[Comparison]:
    """Judged pairs of different grades, up to ``each`` a query, in random order within the pair."""
    pairs = []
    for query, documents, _ in candidates:
        generator = random.Random(f"pairs {query.id}")
        grades = qrels[query.id]
        differ = [
            pair
            for pair in combinations([one for one in documents if one.id in grades], 2)
            if grades[pair[0].id] != grades[pair[1].id]
        ]
        drawn = generator.sample(differ, min(each, len(differ)))
        pairs += [Comparison(query, *generator.sample(pair, 2)) for pair in drawn]
    return pairs


def measure_pairs(bench: Bench, trial: Trial, pairs: Sequence[Comparison]) -> list[str]:
    judge, _ = bench.judge(trial)
    before, started = bench.answering.costs.tokens, time.perf_counter()
    preferences = judge(pairs)
    right = []
    for (query, first, second), preference in zip(pairs, preferences, strict=True):
        grades = bench.qrels[query.id]
        towards = preference if grades[first.id] > grades[second.id] else 1 - preference
        right.append((towards > 0.5) + 0.5 * (towards == 0.5))
    accuracy = float(np.mean(right))
    error = float(np.std(right) / np.sqrt(len(right)))
    seen = judge.diagnostics.summary()
    note(f"{trial.flags}: {accuracy:.3f}", started, bench.answering.costs.tokens - before)

    def share(name: str) -> str:
        value = seen[name]
        return "-" if value is None else f"{value:.2f}"

    return [
        f"`{trial.flags}`",
        f"{accuracy:.3f} ± {error:.3f}",
        share("position_bias"),
        share("inconsistent"),
        f"{seen['unreadable']}",
    ]


def measure_rerank(bench: Bench, trial: Trial, method: str) -> tuple[list[str], dict[str, float]]:
    judge, prior = bench.judge(trial)
    costs = bench.answering.costs
    bench.answering.seen.clear()
    started, tokens = time.perf_counter(), costs.tokens
    ranked = rerank(bench.candidates, prior, METHODS[method].ranker(10, 10, False))
    run = {query: as_scores(names) for query, names in ranked.rankings.items()}
    values = score(run, bench.qrels, [MEASURE]).by_query[MEASURE.name]
    values = {query: values[query] for query in run}
    prompts = len(bench.answering.seen) / len(run)
    note(f"{trial.flags} {method}: {np.mean(list(values.values())):.4f}", started,
         costs.tokens - tokens)  # fmt: skip
    comparisons = (judge.asked + judge.from_journal) / len(run)
    row = [f"`{trial.flags} --method {method}`", *paired(values, base(bench))]
    return [*row, f"{comparisons:.0f}", f"{prompts:.0f}"], values


def measure_elsewhere(bench: Bench, name: str, folder: Path) -> list[str]:
    """The default, unchanged, on a collection that had no say in choosing it."""
    queries, qrels = read_queries(folder / "queries.tsv"), read_qrels(folder / "qrels.trec")
    documents = read_documents(folder / "docs.jsonl")
    first_stage = {query: one for query, one in bm25(queries, documents).items() if query in qrels}
    candidates, _ = build_candidates(first_stage, queries, documents, depth=DEPTH)
    prompt = load_prompt(EMBEDDED_PROMPT)
    judge = PairwiseJudge(
        bench.answering, reading(prompt, "scoring"), decide="soft", passage_tokens=256
    )
    started, tokens = time.perf_counter(), bench.answering.costs.tokens
    ranked = rerank(candidates, PriorJudge(judge, candidates, prompt.prior), allpair)
    run = {
        query: as_scores(merge(list(first_stage[query]), names))
        for query, names in ranked.rankings.items()
    }
    before, after = (
        score(one, qrels, [MEASURE]).by_query[MEASURE.name] for one in (first_stage, run)
    )
    note(f"{name}: {np.mean(list(after.values())):.4f}", started,
         bench.answering.costs.tokens - tokens)  # fmt: skip
    mean, *_, swings, t, p = paired(after, before)
    baseline = f"{np.mean(list(before.values())):.4f}"
    return [name, str(len(before)), baseline, mean, swings, t, p, str(len(judge.cut))]


def as_scores(names: Sequence[str]) -> dict[str, float]:
    return {name: float(-place) for place, name in enumerate(names)}


def base(bench: Bench) -> dict[str, float]:
    values = score(bench.first_stage, bench.qrels, [MEASURE]).by_query[MEASURE.name]
    return {one.query.id: values[one.query.id] for one in bench.candidates}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/dl19"))
    parser.add_argument("--each", type=int, default=8, help="pairs drawn from each query")
    parser.add_argument("--limit", type=int, help="only the first N queries (a quick look)")
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        sys.exit(f"{arguments.data} is absent; give DL19's folder with --data")
    started = time.perf_counter()
    bench = Bench(arguments.data, arguments.limit)
    pairs = draw_pairs(bench.candidates, bench.qrels, arguments.each)
    pair_rows = [measure_pairs(bench, trial, pairs) for trial in PAIR_TRIALS]
    ndcg = ["all", "odd", "even", "wins/ties/losses", "t-test p", "randomisation p"]
    rows = [["BM25, no reranking", *paired(base(bench), base(bench)), "", ""]]
    rows += [measure_rerank(bench, trial, method)[0] for trial, method in RERANK_TRIALS]
    others = [("sample (en)", sample("en"))]
    if (folder := arguments.data.parent / "time").is_dir():
        others.append(("TIME", folder))
    elsewhere = [measure_elsewhere(bench, name, folder) for name, folder in others]
    _, asked = bench.answering.journal.totals()
    seconds, costs = time.perf_counter() - started, bench.answering.costs
    text = f"""\
## Pairs
{len(pairs)} pairs of different grades, {arguments.each} a query at most. A tie counts half.

{
        table(
            ["judge", "accuracy ± standard error", "position bias", "inconsistent", "unreadable"],
            pair_rows,
        )
    }

## Reranking
nDCG@10 of BM25's first {DEPTH} passages, reranked, over {len(bench.candidates)} queries; on the
odd and the even ones apart; and paired tests against BM25, two-sided. Comparisons and prompts are
means a query.

{table(["judge and method", *ndcg, "comparisons", "prompts"], rows)}

## Elsewhere
The default, unchanged, on collections that had no say in choosing it: BM25's first {DEPTH}
documents (ours: `rankprompt.retrieval.bm25`), of which the first 256 tokens are read.

{
        table(
            [
                "collection",
                "queries",
                "BM25",
                "reranked",
                "wins/ties/losses",
                "t-test p",
                "randomisation p",
                "documents cut",
            ],
            elsewhere,
        )
    }

Made by `make bench-default` on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores,
{bench.answering.model.name}, Python {platform.python_version()}; the answers came from
{asked:,} prompts, of which {costs.prompts:,} were asked in this run ({
        seconds:.0f} s) and the others
found in its journal, where an earlier run had left them.
"""
    print(text)
    if not arguments.limit:
        head, mark, _ = REPORT.read_text("utf-8").partition("<!-- tables -->\n")
        REPORT.write_text(head + mark + "\n" + text, "utf-8")


if __name__ == "__main__":
    main()
