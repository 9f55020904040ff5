"""Our local engine against plain transformers: the tables in docs/results/speed.md.

Two ways to do the same with transformers alone are compared with ours, on one core:

* "a pair a call" is the loop that llm-rankers has published (github.com/ielab/llm-rankers, after
  arXiv 2306.17563), in our own words: a sort calls the model for each comparison, with a batch of
  the pair's two prompts; all pairs are asked in batches of two; nothing is kept. Its sliding
  begins each pass where the one before first swapped.
* "batches of 32" answers all prompts of a round, of all queries in lock-step, in padded batches.

Ours asks the second order of a sort's pair only where the first leaves it open (``order`` lazy),
which finds the same ranking. All have the same model, prompt, passages, ranking rule and number
format (float32, in which the rankings must be equal), compute the logits of the last token alone,
and take turns in one process. Prompts, batches and tokens do not depend on the machine; the
processor's seconds do not include other processes.
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
from typing import NamedTuple, TypeVar

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from benchmarks.plots import draw_bars
from benchmarks.tables import replace_part, table
from rankprompt import Candidates, Document, PairwiseQuestion, rerank
from rankprompt.datasets.candidates import build_candidates
from rankprompt.files import read_documents, read_queries, read_run
from rankprompt.journal.cached_model import CachedModel
from rankprompt.journal.store import Journal
from rankprompt.judges.adapters.pairwise import pairwise_adapter
from rankprompt.judges.pairwise import PairwiseJudge
from rankprompt.llm.base import Request
from rankprompt.llm.embedded import converted_folder
from rankprompt.llm.local.chat_template import ChatTemplate
from rankprompt.llm.local.encoding import encode
from rankprompt.llm.local.loading import load_pair
from rankprompt.llm.local.model import LocalModel
from rankprompt.prompts.prompt import load_prompt
from rankprompt.rankers import METHODS, RankerSettings
from rankprompt.rankers.base import Ranker, prefers
from rankprompt.rankers.coroutines import QuestionGenerator
from rankprompt.types import Preference

REPORT = Path("docs/results/speed.md")
PLOT = REPORT.with_name("engine.svg")
WRITER = "benchmarks/engine.py"
PASSAGE_TOKENS = 64
# Method, queries, depth, passes.
SETTINGS = [("allpair", 2, 12, 0), ("heapsort", 4, 20, 0), ("sliding", 4, 20, 10)]
LARGE = 32
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


class Plain:
    """A judge by transformers alone, which puts so many prompts at a time, padded."""

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompt: str, size: int
    ) -> None:
        self._model, self._tokenizer, self._size = model, tokenizer, size
        self._adapter = pairwise_adapter(load_prompt(prompt), "scoring")
        self._chat = ChatTemplate(tokenizer, "plain") if tokenizer.chat_template else None
        self.prompts = self.batches = self.tokens = self.padding = 0

    def __call__(self, questions: Sequence[PairwiseQuestion]) -> list[float]:
        requests = [
            request
            for query, first, second in questions
            for shown in ([first.text, second.text], [second.text, first.text])
            for request in self._adapter.requests(query.text, shown)
        ]
        ahead = [
            answer
            for start in range(0, len(requests), self._size)
            for answer in self._judge(requests[start : start + self._size])
        ]
        return [
            0.5 if one == other else float(one)
            for one, other in zip(ahead[0::2], ahead[1::2], strict=True)
        ]

    def _judge(self, requests: Sequence[Request]) -> list[bool]:
        encoded = [encode(self._tokenizer, request, chat=self._chat) for request in requests]
        rows = [[*request.context, *request.rows[0].stem] for request in encoded]
        longest = max(map(len, rows))
        pad = self._tokenizer.pad_token_id
        ids = torch.tensor([[pad] * (longest - len(row)) + row for row in rows])
        mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
        with torch.inference_mode():
            logits = self._model(input_ids=ids, attention_mask=mask, logits_to_keep=1).logits[:, -1]
        labels = dict(encoded[0].rows[0].lasts)
        self.prompts += len(rows)
        self.batches += 1
        self.tokens += sum(map(len, rows))
        self.padding += ids.numel() - sum(map(len, rows))
        found: list[bool] = (logits[:, labels[0]] > logits[:, labels[1]]).tolist()
        return found


def sliding(items: Sequence[T], passes: int) -> QuestionGenerator[tuple[T, T], Preference, list[T]]:
    """Passes from the bottom, each from where the one before first swapped, as llm-rankers does."""
    ranking, end = list(items), len(items) - 1
    for top in range(passes):
        swapped = False
        for place in range(end, top, -1):
            if (yield from prefers(ranking[place], ranking[place - 1])):
                ranking[place - 1], ranking[place] = ranking[place], ranking[place - 1]
                if not swapped:
                    end = min(place + 1, len(items) - 1)
                    swapped = True
        if not swapped:
            break
    return ranking


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
    groups = [setting.replace(", ", "\n", 1) for setting in settings]
    draw_bars(PLOT, groups, panels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/dl19"))
    parser.add_argument("--prompt", default="prp")
    parser.add_argument("--queries", type=int, help="as many in place of the table's")
    parser.add_argument("--methods", nargs="*", help="some of the table's")
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        sys.exit(f"{arguments.data} is absent; give DL19's folder with --data")
    torch.set_num_threads(1)
    # Two, because our engine prepacks its weights.
    pair, prepacked = (
        load_pair(str(converted_folder()), dtype=torch.float32, device=torch.device("cpu"))
        for _ in range(2)
    )
    model = LocalModel(*prepacked, name="smollm2-135m")
    run = read_run(arguments.data / "run.bm25.trec")
    texts = read_documents(arguments.data / "docs.jsonl")
    queries = read_queries(arguments.data / "queries.tsv")
    rows = []
    for method, count, depth, passes in SETTINGS:
        if arguments.methods and method not in arguments.methods:
            continue
        number = arguments.queries or count
        untruncated, _ = build_candidates(run, queries, texts, depth=depth, limit=number)
        candidates = truncate(untruncated, model)
        ranker = METHODS[method].bind(RankerSettings(10, passes, False))
        order = "lazy" if METHODS[method].strict else "both"
        own = partial(run_ours, candidates, ranker, model, arguments.prompt, order)
        published = partial(sliding, passes=passes) if passes else ranker
        large = Plain(*pair, arguments.prompt, LARGE)
        small = Plain(*pair, arguments.prompt, 2)
        turns = [own()]
        loop = run_plain(candidates, published, small, together=False)
        turns.append(own())
        batches = run_plain(candidates, ranker, large, together=True)
        turns.append(own())
        # The middle one of three: they stood before, between and after the others.
        ours = sorted(turns, key=lambda one: one.processor)[1]
        if not ours.rankings == loop.rankings == batches.rankings:
            sys.exit(f"{method}: the rankings differ")
        name = f"{method}{f'-{passes}' if passes else ''}, {number} queries, depth {depth}"
        engines = (("a pair a call", loop), (f"batches of {LARGE}", batches), ("ours", ours))
        for engine, outcome in engines:
            rows.append(
                [
                    f"{name}: {engine}", f"{outcome.prompts:,}", f"{outcome.batches:,}",
                    f"{outcome.tokens:,}", f"{outcome.padding:,}", f"{outcome.seconds:.1f}",
                    f"{outcome.processor:.1f}", f"{outcome.processor / ours.processor:.2f}",
                ]
            )  # fmt: skip
            print(" ".join(rows[-1]), file=sys.stderr, flush=True)
    columns = [
        "", "prompts", "batches", "tokens", "padding", "seconds", "processor's seconds",
        "times ours",
    ]  # fmt: skip
    text = f"""\
{table(columns, rows)}

Passages of {PASSAGE_TOKENS} tokens, prompt `{arguments.prompt}`, float32, equal rankings asserted.
Made by `make bench-engine` on {datetime.now(UTC):%Y-%m-%d}: one core of {os.cpu_count()} with
{torch.backends.cpu.get_cpu_capability()}, torch {torch.__version__},
Python {platform.python_version()}.
"""
    print(text)
    replace_part(REPORT, WRITER, text)
    draw(rows)


if __name__ == "__main__":
    main()
