"""Evaluations of prompts a second, ours against one prompt at a time: docs/results/evolve.md.

Wall-clock time, in float32, with as many threads as there are cores: run it on an idle machine.
"""

import argparse
import os
import random
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from benchmarks.evolve import PAGE, task_file
from benchmarks.tables import replace_part, table
from rankprompt.journal.cached_model import CachedModel, Reply
from rankprompt.journal.store import Journal
from rankprompt.llm.base import Answer, Request, Usage
from rankprompt.llm.embedded import EMBEDDED, converted_folder
from rankprompt.llm.local.encoding import encode
from rankprompt.llm.local.loading import load_pair
from rankprompt.llm.local.model import LocalModel
from rankprompt.llm.local.option_logits import read_options
from rankprompt.llm.local.processor import use_threads
from rankprompt.llm.tokenizer_offsets import model_offsets
from rankprompt.search.config import SearchConfig
from rankprompt.search.fitness.registry import make_problem
from rankprompt.search.genome import SeedPrompt
from rankprompt.search.operators import random_genome
from rankprompt.search.tasks import load_task

WRITER = "benchmarks/evolve_speed.py"
# SST-2 has 32 training examples; 8 shots of each label leave 16.
SIZES = {"search": 16, "calibration": 20, "test": 20}


class Plain:
    """transformers without changes: one prompt a forward pass, with all logits."""

    name, fingerprint = EMBEDDED, "plain"

    def __init__(self, network: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        self._network, self._tokenizer = network, tokenizer

    def plan(self, requests: Sequence[Request]) -> list[list[int]]:
        return [[index] for index in range(len(requests))]

    def answer(self, requests: Sequence[Request]) -> tuple[list[Answer], Usage]:
        (request,) = requests
        encoded = encode(self._tokenizer, request)
        (row,) = encoded.rows
        ids = torch.tensor([[*encoded.context, *row.stem]])
        with torch.inference_mode():
            logits = self._network(input_ids=ids).logits
        return read_options([encoded], logits, [len(encoded.context) - 1]), Usage(ids.numel(), 0)

    def length(self, request: Request) -> int:
        return encode(self._tokenizer, request).length


def network() -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    return load_pair(str(converted_folder()), dtype=torch.float32, device=torch.device("cpu"))


def local(**settings: Any) -> Callable[[], LocalModel]:
    return lambda: LocalModel(*network(), name=EMBEDDED, **settings)


ENGINES: dict[str, Callable[[], Any]] = {
    "transformers, one prompt at a time": lambda: Plain(*network()),
    "our engine, one prompt at a time": local(prefix_bytes=0, batch_tokens=1),
    "our engine, plain batching": local(prefix_bytes=0),
    "our engine, shared starts": local(),
}
BASES = list(ENGINES)[:3]


class RecordingModel(CachedModel):
    """Records the log-likelihoods of the last chunk."""

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        replies = super().answer(requests)
        self.recorded = [
            value for one in replies if one.answer for value in one.answer.loglikelihoods
        ]
        return replies


def measure(model: Any, shots: int, options: argparse.Namespace) -> dict[str, Any]:
    """Scores the genomes anew, ``turns`` times; the best time counts."""
    task = load_task(task_file(options.folder, "sst2", {**SIZES, "shots": shots}))
    best = float("inf")
    for _ in range(options.turns):
        if isinstance(model, LocalModel):
            model.forget()
        cached = RecordingModel(model, Journal(None))
        problem = make_problem(task, SearchConfig())
        seed = SeedPrompt(problem.segments, model_offsets(EMBEDDED))
        rng, size = random.Random(0), len(seed.genes)
        genomes = [random_genome(size, size // 2, rng) for _ in range(options.genomes)]
        prompts = [seed.template(one) for one in dict.fromkeys(genomes)]
        started = time.perf_counter()
        scores = problem.fitness(cached, prompts, share=1.0)
        best = min(best, time.perf_counter() - started)
    return {
        "genes": size,
        "speed": len(scores) / best,
        "tokens": cached.costs.tokens / len(scores),
        "padding": cached.costs.padding / len(scores),
        "values": (cached.recorded, scores),
    }


def rows_of(shots: int, engines: dict[str, dict[str, Any]]) -> list[list[str]]:
    """Returns a row for each engine, compared with those before it; differences from the first."""
    first = next(iter(engines.values()))["values"]
    rows = []
    for engine, one in engines.items():
        apart = [
            max(abs(a - b) for a, b in zip(*each, strict=True))
            for each in zip(one["values"], first, strict=True)
        ]
        rows.append(
            [
                f"{shots} ({one['genes']} genes)", engine, f"{one['speed']:.2f}",
                *(f"{one['speed'] / engines[base]['speed']:.1f}x" for base in BASES),
                f"{one['tokens']:.0f}", f"{one['padding']:.0f}",
                *(f"{each:.1e}" for each in apart),
            ]
        )  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(".benchmarks/evolve"))
    parser.add_argument("--genomes", type=int, default=8)
    parser.add_argument("--shots", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument("--turns", type=int, default=2, help="timed turns; the best counts")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    threads = use_threads(None)
    models = {engine: make() for engine, make in ENGINES.items()}
    rows = []
    for shots in options.shots:
        engines = {}
        for engine, model in models.items():
            engines[engine] = measure(model, shots, options)
            print(
                f"{shots} {engine}: {engines[engine]['speed']:.2f} a second",
                file=sys.stderr,
                flush=True,
            )
        rows += rows_of(shots, engines)
    columns = [
        "shots a label", "way", "evaluations a second", "against transformers, one at a time",
        "against ours, one at a time", "against plain batching", "tokens an evaluation", "padding",
        "largest difference in log-probability", "in reward",
    ]  # fmt: skip
    text = f"""\
{table(columns, rows)}

Made by `make bench-evolve-speed` on {datetime.now(UTC):%Y-%m-%d}: {threads} threads of
{os.cpu_count()} cores, the best of {options.turns} turns, float32, torch {torch.__version__}.
"""
    replace_part(PAGE, WRITER, text)
    print(text)


if __name__ == "__main__":
    main()
