"""Our local engine against plain transformers: the tables in docs/results/speed.md.

Two ways to do the same with transformers alone are compared with ours, on one core:

* "a pair a call" is the loop that llm-rankers has published (github.com/ielab/llm-rankers, after
  arXiv 2306.17563), in our own words: a sort calls the model for each comparison, with a batch of
  the pair's two prompts; all pairs are asked in batches of two; nothing is kept. Its sliding
  begins each pass where the one before first swapped.
* "batches of 32" answers all prompts of a round, of all queries in lock-step, in padded batches.

Ours asks the second order of a sort's pair only where the first leaves it open (``order`` lazy),
which finds the same ranking. All have the same model, prompt, passages, ranking rule and number
format (float32, in which the rankings must be equal), and compute the logits of the last token
alone. Each runs in a process of its own, at the same time on the same core, so that other load on
the machine harms all of them alike; ours runs again until the others end. Prompts, batches and
tokens do not depend on the machine; the processor's seconds do not include other processes.
"""

import argparse
import os
import platform
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from multiprocessing import get_context
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier, Semaphore
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple, TypeVar

import torch
from transformers import PreTrainedTokenizerBase

from benchmarks.plots import draw_bars
from benchmarks.published_loop import Plain, sliding
from benchmarks.tables import replace_part, table
from rankprompt import Candidates, Document, rerank
from rankprompt.datasets.candidates import build_candidates
from rankprompt.files import read_documents, read_queries, read_run
from rankprompt.journal.cached_model import CachedModel
from rankprompt.journal.store import Journal
from rankprompt.judges.adapters.pairwise import pairwise_adapter
from rankprompt.judges.pairwise import PairwiseJudge
from rankprompt.llm.embedded import converted_folder
from rankprompt.llm.local import encoding
from rankprompt.llm.local.loading import load_pair
from rankprompt.llm.local.model import LocalModel
from rankprompt.prompts.prompt import load_prompt
from rankprompt.rankers import METHODS, RankerSettings
from rankprompt.rankers.base import Ranker

REPORT = Path("docs/results/speed.md")
PLOT = REPORT.with_name("engine.svg")
WRITER = "benchmarks/engine.py"
PASSAGE_TOKENS = 64
# Method, prompt, queries, depth, passes. With `prp`, this model nearly always prefers what is shown
# first: nothing moves up, and the published sliding ends after its first pass.
SETTINGS = [
    ("allpair", "prp", 2, 12, 0), ("heapsort", "prp", 2, 10, 0), ("sliding", "prp", 2, 12, 3),
    ("sliding", "prp-demonstrations", 2, 12, 3), ("allpair", "prp-demonstrations", 1, 10, 0),
]  # fmt: skip
LARGE = 32
ENGINES = ("a pair a call", f"batches of {LARGE}", "ours")
T = TypeVar("T")


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


def truncate(
    candidates: Sequence[Candidates], tokenizer: PreTrainedTokenizerBase
) -> list[Candidates]:
    """Truncates the passages, so that all engines read the same texts."""
    return [
        one._replace(
            documents=tuple(
                Document(doc.id, encoding.truncate(tokenizer, doc.text, PASSAGE_TOKENS))
                for doc in one.documents
            )
        )
        for one in candidates
    ]


def run_plain(
    candidates: Sequence[Candidates], ranker: Ranker, judge: Plain, *, together: bool
) -> Outcome:
    """Ranks all queries ``together``, in lock-step, or one after the other."""
    started, busy = time.perf_counter(), time.process_time()
    rankings: dict[str, list[str]] = {}
    for group in [candidates] if together else [[one] for one in candidates]:
        rankings |= rerank(group, judge, ranker).rankings
    seconds, busy = time.perf_counter() - started, time.process_time() - busy
    return Outcome(
        rankings, seconds, busy, judge.prompts, judge.batches, judge.tokens, judge.padding
    )


def run_ours(
    candidates: Sequence[Candidates], ranker: Ranker, model: LocalModel, prompt: str, order: str
) -> Outcome:
    model.forget()
    answering = CachedModel(model, Journal(None))
    judge = PairwiseJudge(answering, pairwise_adapter(load_prompt(prompt), "scoring"), order=order)
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
    groups = [setting.replace(", ", "\n") for setting in settings]
    draw_bars(PLOT, groups, panels)


class Setting(NamedTuple):
    """What is ranked, and how."""

    data: Path
    method: str
    prompt: str
    queries: int
    depth: int
    passes: int

    @property
    def name(self) -> str:
        passes = f"-{self.passes}" if self.passes else ""
        return f"{self.method}{passes}, {self.prompt}, {self.queries} queries, depth {self.depth}"


def measure(
    engine: str, setting: Setting, start: Barrier, ended: Semaphore, results: "Queue[Any]"
) -> None:
    """Ranks by one of ``ENGINES`` in this process; sends the outcomes of its runs."""
    torch.set_num_threads(1)
    model, tokenizer = load_pair(
        str(converted_folder()), dtype=torch.float32, device=torch.device("cpu")
    )
    data, method, prompt, count, depth, passes = setting
    untruncated, _ = build_candidates(
        read_run(data / "run.bm25.trec"), read_queries(data / "queries.tsv"),
        read_documents(data / "docs.jsonl"), depth=depth, limit=count,
    )  # fmt: skip
    ranker = METHODS[method].bind(RankerSettings(10, passes, False))
    plain = Plain(model, tokenizer, prompt, LARGE if engine == ENGINES[1] else 2)
    # It prepacks the weights.
    local = LocalModel(model, tokenizer, name="smollm2-135m") if engine == ENGINES[2] else None
    candidates = truncate(untruncated, tokenizer)
    start.wait()
    if engine == ENGINES[0]:
        published = partial(sliding, passes=passes) if passes else ranker
        outcomes = [run_plain(candidates, published, plain, together=False)]
    elif local is None:
        outcomes = [run_plain(candidates, ranker, plain, together=True)]
    else:
        order = "lazy" if METHODS[method].strict else "both"
        outcomes = [run_ours(candidates, ranker, local, prompt, order)]
        for _ in ENGINES[:2]:
            while not ended.acquire(block=False):
                outcomes.append(run_ours(candidates, ranker, local, prompt, order))
    ended.release()
    results.put((engine, outcomes))


def compare(setting: Setting) -> dict[str, Outcome]:
    """The mean outcome of each engine, all of them at work at the same time on one core."""
    context = get_context("spawn")
    start, ended = context.Barrier(len(ENGINES)), context.Semaphore(0)
    results: Queue[Any] = context.Queue()
    processes = [
        context.Process(target=measure, args=(engine, setting, start, ended, results), daemon=True)
        for engine in ENGINES
    ]
    for process in processes:
        process.start()
    found = dict(results.get() for _ in processes)
    if len({str(one.rankings) for outcomes in found.values() for one in outcomes}) > 1:
        sys.exit(f"{setting.method}: the rankings differ")
    return {
        engine: found[engine][0]._replace(
            seconds=fmean(one.seconds for one in found[engine]),
            processor=fmean(one.processor for one in found[engine]),
        )
        for engine in ENGINES
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/dl19"))
    parser.add_argument("--queries", type=int, help="as many in place of the table's")
    parser.add_argument("--methods", nargs="*", help="some of the table's")
    parser.add_argument("--dry", action="store_true", help="print the table, and write no page")
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        sys.exit(f"{arguments.data} is absent; give DL19's folder with --data")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    rows = []
    for method, prompt, count, depth, passes in SETTINGS:
        if arguments.methods and method not in arguments.methods:
            continue
        setting = Setting(arguments.data, method, prompt, arguments.queries or count, depth, passes)
        found = compare(setting)
        ours = found[ENGINES[2]].processor
        for engine, outcome in found.items():
            rows.append(
                [
                    f"{setting.name}: {engine}", f"{outcome.prompts:,}", f"{outcome.batches:,}",
                    f"{outcome.tokens:,}", f"{outcome.padding:,}", f"{outcome.seconds:.1f}",
                    f"{outcome.processor:.1f}", f"{outcome.processor / ours:.2f}",
                ]
            )  # fmt: skip
            print(" ".join(rows[-1]), file=sys.stderr, flush=True)
    columns = [
        "", "prompts", "batches", "tokens", "padding", "seconds", "processor's seconds",
        "times ours",
    ]  # fmt: skip
    text = f"""\
{table(columns, rows)}

Passages of {PASSAGE_TOKENS} tokens, float32, equal rankings asserted; prompts by name.
Made by `make bench-engine` on {datetime.now(UTC):%Y-%m-%d}: one core of {os.cpu_count()} with
{torch.backends.cpu.get_cpu_capability()}, torch {torch.__version__},
Python {platform.python_version()}.
"""
    print(text)
    if arguments.dry:
        return
    replace_part(REPORT, WRITER, text)
    draw(rows)


if __name__ == "__main__":
    main()
