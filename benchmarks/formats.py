"""Which number format to compute in, and what it does to answers and rankings: docs/formats.md.

The embedded model in float32, bfloat16 and int8, on one thread. Speed is in tokens of prompts a
second of processor time, which a busy neighbour disturbs less than the wall clock; the formats take
turns, and the best of some turns counts. Older processors are stood in for by forbidding oneDNN the
newer instructions (ONEDNN_MAX_CPU_ISA), in a process of its own for each.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import numpy as np
import torch
from scipy.stats import kendalltau

from benchmarks.quantising import quantise
from benchmarks.tables import note, replace_part, table
from rankprompt.datasets.candidates import build_candidates
from rankprompt.datasets.sample import sample
from rankprompt.eval import parse_measure, score
from rankprompt.files import read_documents, read_qrels, read_queries, read_run
from rankprompt.journal.cached_model import Answering
from rankprompt.journal.store import Journal
from rankprompt.judges.adapters.pairwise import reading
from rankprompt.judges.first_stage_prior import PriorJudge
from rankprompt.judges.pairwise import PairwiseJudge
from rankprompt.llm import Request
from rankprompt.llm.embedded import converted
from rankprompt.llm.local.loading import load_pair
from rankprompt.llm.local.model import LocalModel, load
from rankprompt.llm.local.prefix_cache import PREFIX_BYTES
from rankprompt.llm.local.processor import quicker_format, use_threads
from rankprompt.pipeline.config import EMBEDDED_PROMPT
from rankprompt.prompts.prompt import load_prompt
from rankprompt.rankers import allpair
from rankprompt.rankers.reranking import rerank
from rankprompt.retrieval import bm25
from rankprompt.types import Candidates, Qrels

REPORT = Path("docs/formats.md")
FORMATS = ("float32", "bfloat16", "int8")
PROMPTS = ("prp", EMBEDDED_PROMPT)
PROMPTS_ASKED = 12
# What oneDNN may use, and which processors have no more than that.
PROCESSORS = {
    "": "all that this processor has",
    "AVX512_CORE_VNNI": "no products of bfloat16 (as Cascade Lake, Ice Lake)",
    "AVX512_CORE": "no products of int8 either (as Skylake-SP)",
    "AVX2": "AVX2 alone (as Zen 3, Broadwell)",
}
MEASURE = parse_measure("ndcg@10")


class Collection(NamedTuple):
    """What is reranked, and its judgements, of these queries alone."""

    name: str
    candidates: list[Candidates]
    qrels: Qrels


def requests_of(prompt: str) -> list[Request]:
    source = sample("en")
    queries, qrels = read_queries(source / "queries.tsv"), read_qrels(source / "qrels.trec")
    documents = read_documents(source / "docs.jsonl")
    asked = reading(load_prompt(prompt), "scoring")
    found: list[Request] = []
    for query in list(queries)[:3]:
        texts = [documents[name].text for name in list(qrels[query])[:4]]
        for first, second in permutations(texts, 2):
            found += asked.requests(queries[query], first, second)
    return list(dict.fromkeys(found))[:PROMPTS_ASKED]


def model_of(form: str, *, sharing: bool = True) -> LocalModel:
    memory = PREFIX_BYTES if sharing else 0
    if form != "int8":
        return load(str(converted()), dtype=form, device="cpu", prefix_bytes=memory, threads=1)
    # Made here and not by `load`: the package has no such format, and the page says why.
    use_threads(1)
    model, tokenizer = load_pair(str(converted()), dtype=torch.float32, device=torch.device("cpu"))
    quantise(model)
    return LocalModel(model, tokenizer, name=form, prefix_bytes=memory)


def answer(model: LocalModel, requests: Sequence[Request], *, alone: bool) -> list[float]:
    model.forget()
    batches = [[i] for i in range(len(requests))] if alone else model.plan(requests)
    found: dict[int, tuple[float, ...]] = {}
    for batch in batches:
        answers, _ = model.answer([requests[i] for i in batch])
        found |= {i: one.loglikelihoods for i, one in zip(batch, answers, strict=True)}
    return [value for i in range(len(requests)) for value in found[i]]


def speeds(turns: int) -> tuple[list[float], str, str]:
    """Tokens a second of each format, side by side; what `--dtype auto` takes; int8's error."""
    models = [model_of(form, sharing=False) for form in FORMATS]
    requests = [one._replace(breaks=()) for one in requests_of("prp")[: PROMPTS_ASKED // 2]]
    tokens = sum(models[0].length(one) for one in requests)
    least = [float("inf")] * len(models)
    answers: list[list[float]] = [[]] * len(models)
    for _ in range(turns):
        for place, model in enumerate(models):
            started = time.process_time()
            answers[place] = answer(model, requests, alone=False)
            least[place] = min(least[place], time.process_time() - started)
    # An empty cache: what was measured for this processor before does not count.
    with tempfile.TemporaryDirectory() as empty, patch.dict(os.environ, RANKPROMPT_CACHE=empty):
        chosen = str(quicker_format(keep=False)).removeprefix("torch.")
    return [tokens / seconds for seconds in least], chosen, apart(answers[0], answers[-1])


def speed_rows(turns: int) -> list[list[str]]:
    rows = []
    for allowed, words in PROCESSORS.items():
        started = time.perf_counter()
        run = subprocess.run(
            [sys.executable, "-m", "benchmarks.formats", "--speeds", "--turns", str(turns)],
            env={**os.environ, "OMP_NUM_THREADS": "1"}
            | ({"ONEDNN_MAX_CPU_ISA": allowed} if allowed else {}),
            stdout=subprocess.PIPE,
            check=True,
        )
        found, chosen, error = json.loads(run.stdout)
        rows.append([words, *(f"{one:.0f}" for one in found), chosen, error])
        note(words, started, 0)
    return rows


def answer_rows() -> list[list[str]]:
    rows = []
    truth: dict[str, list[float]] = {}
    for form in FORMATS:
        sharing, plain = model_of(form), model_of(form, sharing=False)
        for prompt in PROMPTS:
            started = time.perf_counter()
            requests = requests_of(prompt)
            bare = [request._replace(breaks=()) for request in requests]
            batched = answer(plain, bare, alone=False)
            like = truth.setdefault(prompt, batched)
            rows.append(
                [
                    f"{form}, `{prompt}`",
                    str(len(requests)),
                    apart(answer(sharing, requests, alone=False), batched),
                    apart(answer(plain, bare, alone=True), batched),
                    apart(like, batched),
                    f"{np.corrcoef(like, batched)[0, 1]:.4f}",
                ]
            )
            note(rows[-1][0], started, 0)
    return rows


def apart(one: Sequence[float], other: Sequence[float]) -> str:
    return f"{max(abs(a - b) for a, b in zip(one, other, strict=True)):.4f}"


def collections(data: Path, limit: int, depth: int) -> list[Collection]:
    def take(name: str, folder: Path, run: Path | None) -> Collection:
        queries, documents = (
            read_queries(folder / "queries.tsv"),
            read_documents(folder / "docs.jsonl"),
        )
        qrels = read_qrels(folder / "qrels.trec")
        first_stage = read_run(run) if run else bm25(queries, documents)
        found, _ = build_candidates(
            {query: ranked for query, ranked in first_stage.items() if query in qrels},
            queries, documents, depth=depth, limit=limit,
        )  # fmt: skip
        return Collection(name, found, {one.query.id: qrels[one.query.id] for one in found})

    found = [take("sample (en)", sample("en"), None)]
    if data.is_dir():
        found.append(take("DL19", data, data / "run.bm25.trec"))
    return found


def ranking_rows(found: Sequence[Collection]) -> list[list[str]]:
    rows = []
    truth: dict[str, dict[str, list[str]]] = {}
    models = {form: model_of(form) for form in FORMATS}
    for name, candidates, qrels in found:
        for form, model in models.items():
            started = time.perf_counter()
            prompt = load_prompt(EMBEDDED_PROMPT)
            model.forget()
            judge = PairwiseJudge(
                Answering(model, Journal(None)),
                reading(prompt, "scoring"),
                decide="soft",
                passage_tokens=256,
            )
            ranked = rerank(candidates, PriorJudge(judge, candidates, prompt.prior), allpair)
            rankings = {query: list(names) for query, names in ranked.rankings.items()}
            like = truth.setdefault(name, rankings)
            run = {
                query: {one: float(-place) for place, one in enumerate(names)}
                for query, names in rankings.items()
            }
            values = score(run, qrels, [MEASURE]).by_query[MEASURE.name]
            taus = [tau(like[query], rankings[query]) for query in like]
            rows.append(
                [
                    f"{form}, {name}",
                    str(len(candidates)),
                    f"{np.mean(list(values.values())):.4f}",
                    f"{np.mean(taus):.3f}",
                    f"{min(taus):.3f}",
                    f"{np.mean([like[query][0] == rankings[query][0] for query in like]):.2f}",
                ]
            )
            note(" ".join(rows[-1]), started, 0)
    return rows


def tau(one: Sequence[str], other: Sequence[str]) -> float:
    places = {name: place for place, name in enumerate(other)}
    return float(kendalltau(range(len(one)), [places[name] for name in one]).statistic)


def rankings(arguments: argparse.Namespace) -> str:
    found = collections(arguments.data, arguments.limit, arguments.depth)
    columns = ["format, collection", "queries", "nDCG@10", "tau", "least tau", "same first"]
    return f"""\
By the default prompt, of the first {arguments.depth} passages of BM25, {arguments.limit} queries of
a collection at most; Kendall's tau with float32's ranking of a query, the mean and the least; and
the share of queries with the same passage first.

{table(columns, ranking_rows(found))}
"""


def answers(_: argparse.Namespace) -> str:
    columns = [
        "format, prompt", "prompts", "starts shared or not", "in batches or alone",
        "against float32", "correlation",
    ]  # fmt: skip
    return f"""\
The largest difference of a log-likelihood, in nats (a label's, or a whole query's), and the
correlation of all with float32's.

{table(columns, answer_rows())}
"""


def speed(arguments: argparse.Namespace) -> str:
    columns = ["processor", *FORMATS, "`--dtype auto` takes", "int8 against float32, nats"]
    return f"""\
Tokens of prompts a second of processor time, one thread, the best of {arguments.turns} turns. The
first row is this processor; in the others oneDNN, which multiplies the matrices, is kept from its
newer instructions (`ONEDNN_MAX_CPU_ISA`).

{table(columns, speed_rows(arguments.turns))}
"""


def main() -> None:
    parts = {"rankings": rankings, "answers": answers, "speed": speed}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/dl19"))
    parser.add_argument("--limit", type=int, default=10, help="queries of each collection")
    parser.add_argument("--depth", type=int, default=10, help="passages reranked")
    parser.add_argument("--turns", type=int, default=2, help="timed turns of each format")
    parser.add_argument("--part", choices=parts, action="append", help="only this part")
    parser.add_argument("--speeds", action="store_true", help="only the speeds, as JSON")
    arguments = parser.parse_args()
    if arguments.speeds:
        print(json.dumps(speeds(arguments.turns)))
        return
    for name in arguments.part or parts:
        text = f"""\
{parts[name](arguments)}
Made by `make bench-formats` on {datetime.now(UTC):%Y-%m-%d}: one thread of {os.cpu_count()} cores,
which other work may share, torch {torch.__version__}, Python {platform.python_version()}.
"""
        print(text, flush=True)
        replace_part(REPORT, f"benchmarks.formats --part {name}", text)


if __name__ == "__main__":
    main()
