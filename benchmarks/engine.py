"""Our local engine against a naive one: the tables in docs/results/speed.md.

The naive engine does what rerankers commonly do: transformers without changes, one pair at a time,
two prompts, a batch of two, all logits, no cache. Both have the same model, prompt, passages,
threads and number format (float32, in which the rankings must be equal), in one run. Prompts,
batches and tokens do not depend on the machine; CPU seconds, added over the cores, do not include
other processes.
"""

import argparse
import os
import platform
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, TypeAlias

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from benchmarks.plots import draw_bars
from benchmarks.tables import replace_part, table
from rankprompt import Candidates, Document, PairwiseQuestion, Query, rerank
from rankprompt.datasets.candidates import build_candidates
from rankprompt.files import read_documents, read_queries, read_run
from rankprompt.journal.cached_model import CachedModel
from rankprompt.journal.store import Journal
from rankprompt.judges.adapters.pairwise import pairwise_adapter
from rankprompt.judges.pairwise import PairwiseJudge
from rankprompt.llm.embedded import converted_folder
from rankprompt.llm.local.encoding import encode
from rankprompt.llm.local.loading import load_pair
from rankprompt.llm.local.model import LocalModel
from rankprompt.prompts.prompt import load_prompt
from rankprompt.rankers import METHODS, RankerSettings
from rankprompt.rankers.base import Ranker

REPORT = Path("docs/results/speed.md")
PLOT = REPORT.with_name("engine.svg")
WRITER = "benchmarks/engine.py"
Pair: TypeAlias = tuple[PreTrainedModel, PreTrainedTokenizerBase]
PASSAGE_TOKENS = 64
# Method, queries, depth, passes.
SETTINGS = [("allpair", 3, 12, 0), ("heapsort", 5, 20, 0), ("sliding", 5, 20, 3)]


class Outcome(NamedTuple):
    """An engine's rankings and their cost."""

    rankings: dict[str, list[str]]
    seconds: float
    processor: float
    prompts: int
    batches: int
    tokens: int
    padding: int
    reused: int = 0


class Naive:
    """A judge that puts one pair at a time, as two prompts, in a batch of two."""

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompt: str
    ) -> None:
        self._model, self._tokenizer = model, tokenizer
        self._adapter = pairwise_adapter(load_prompt(prompt), "scoring")
        self.prompts = self.batches = self.tokens = self.padding = 0

    def __call__(self, questions: Sequence[PairwiseQuestion]) -> list[float]:
        return [self._judge(*question) for question in questions]

    def _judge(self, query: Query, first: Document, second: Document) -> float:
        shown = [(first.text, second.text), (second.text, first.text)]
        encoded = [
            encode(self._tokenizer, self._adapter.requests(query.text, pair)[0]) for pair in shown
        ]
        rows = [[*request.context, *request.rows[0].stem] for request in encoded]
        longest = max(map(len, rows))
        pad = self._tokenizer.pad_token_id
        ids = torch.tensor([[pad] * (longest - len(row)) + row for row in rows])
        mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
        with torch.inference_mode():
            logits = self._model(input_ids=ids, attention_mask=mask).logits[:, -1]
        labels = dict(encoded[0].rows[0].lasts)
        ahead = (logits[:, labels[0]] > logits[:, labels[1]]).tolist()
        self.prompts += 2
        self.batches += 1
        self.tokens += sum(map(len, rows))
        self.padding += ids.numel() - sum(map(len, rows))
        return 0.5 if ahead[0] == ahead[1] else float(ahead[0])


def truncate(
    candidates: Sequence[Candidates], model: LocalModel, tokens: int = PASSAGE_TOKENS
) -> list[Candidates]:
    """Truncates the passages, so that both engines read the same texts."""
    return [
        one._replace(
            documents=tuple(
                Document(doc.id, model.truncate(doc.text, tokens)) for doc in one.documents
            )
        )
        for one in candidates
    ]


def run_naive(candidates: Sequence[Candidates], ranker: Ranker, pair: Pair, prompt: str) -> Outcome:
    judge = Naive(*pair, prompt)
    started, busy = time.perf_counter(), time.process_time()
    ranked = rerank(candidates, judge, ranker)
    seconds, busy = time.perf_counter() - started, time.process_time() - busy
    return Outcome(
        ranked.rankings, seconds, busy, judge.prompts, judge.batches, judge.tokens, judge.padding
    )


def run_ours(
    candidates: Sequence[Candidates], ranker: Ranker, model: LocalModel, prompt: str
) -> Outcome:
    model.forget()
    answering = CachedModel(model, Journal(None))
    judge = PairwiseJudge(answering, pairwise_adapter(load_prompt(prompt), "scoring"))
    started, busy = time.perf_counter(), time.process_time()
    ranked = rerank(candidates, judge, ranker)
    seconds, busy = time.perf_counter() - started, time.process_time() - busy
    costs = answering.costs
    return Outcome(
        ranked.rankings, seconds, busy, costs.prompts, costs.batches, costs.tokens,
        costs.padding, costs.reused,
    )  # fmt: skip


def draw(rows: Sequence[Sequence[str]]) -> None:
    """Plots the tokens and seconds of the table's rows."""
    settings = list(dict.fromkeys(row[0].rpartition(": ")[0] for row in rows))
    panels: dict[str, dict[str, list[float]]] = {"tokens": {}, "seconds": {}}
    for row in rows:
        engine = row[0].rpartition(": ")[2]
        for name, value in (("tokens", row[3]), ("seconds", row[6])):
            panels[name].setdefault(engine, []).append(float(value.replace(",", "")))
    groups = [setting.replace(", ", "\n", 1) for setting in settings]
    draw_bars(PLOT, groups, panels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/dl19"))
    parser.add_argument("--prompt", default="prp")
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        sys.exit(f"{arguments.data} is absent; give DL19's folder with --data")
    # Two, because our engine prepacks its weights.
    pair, own = (
        load_pair(str(converted_folder()), dtype=torch.float32, device=torch.device("cpu"))
        for _ in range(2)
    )
    model = LocalModel(*own, name="smollm2-135m")
    run = read_run(arguments.data / "run.bm25.trec")
    texts = read_documents(arguments.data / "docs.jsonl")
    queries = read_queries(arguments.data / "queries.tsv")
    rows = []
    for method, count, depth, passes in SETTINGS:
        untruncated, _ = build_candidates(run, queries, texts, depth=depth, limit=count)
        candidates = truncate(untruncated, model)
        ranker = METHODS[method].bind(RankerSettings(10, passes, False))
        ours = run_ours(candidates, ranker, model, arguments.prompt)
        naive = run_naive(candidates, ranker, pair, arguments.prompt)
        if ours.rankings != naive.rankings:
            sys.exit(f"{method}: the rankings differ")
        name = f"{method}{f'-{passes}' if passes else ''}, {count} queries, depth {depth}"
        for engine, outcome in (("naive", naive), ("ours", ours)):
            rows.append(
                [
                    f"{name}: {engine}", f"{outcome.prompts:,}", f"{outcome.batches:,}",
                    f"{outcome.tokens:,}", f"{outcome.padding:,}",
                    f"{outcome.tokens / naive.tokens:.2f}",
                    f"{outcome.seconds:.1f}", f"{naive.seconds / outcome.seconds:.2f}",
                    f"{outcome.processor:.1f}", f"{naive.processor / outcome.processor:.2f}",
                ]
            )  # fmt: skip
            print(" ".join(rows[-1]), file=sys.stderr, flush=True)
    columns = [
        "", "prompts", "batches", "tokens", "padding", "tokens to naive's", "seconds",
        "times as fast", "processor's seconds", "times less",
    ]  # fmt: skip
    text = f"""\
{table(columns, rows)}

Passages of {PASSAGE_TOKENS} tokens, prompt `{arguments.prompt}`, float32, equal rankings asserted.
Made by `make bench-engine` on {datetime.now(UTC):%Y-%m-%d}: {torch.get_num_threads()} threads of
{os.cpu_count()} cores, torch {torch.__version__}, Python {platform.python_version()}.
"""
    print(text)
    replace_part(REPORT, WRITER, text)
    draw(rows)


if __name__ == "__main__":
    main()
