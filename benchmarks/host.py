"""Everything but the model: the whole stack before a model that answers at once.

The same rankings are made by the code of an earlier commit and by this one, in processes that take
turns. Rendering, encoding, planning, the journal's file and the rankings are real, with the
embedded model's tokenizer; the answers are drawn by the prompt. What is counted is the processor's
time, so that other processes matter little; texts and imports are read before.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BEFORE = "7fd432b"
REPORT = Path("docs/results/speed.md")
WRITER = "benchmarks/host.py"
PASSAGE_TOKENS = 64
# Method, prompt, queries, depth.
SETTINGS = [
    ("allpair", "prp", 3, 20),
    ("heapsort", "prp", 8, 20),
    ("sliding", "prp", 8, 20),
    ("pointwise", "query-likelihood-demonstrations", 20, 50),
    ("setwise-heapsort", "setwise", 12, 20),
]


def measure(data: Path) -> dict[str, tuple[int, float]]:
    """Runs each setting once, with the rankprompt that Python finds.

    Returns:
        By setting: the prompts, and the processor's seconds.
    """
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    from rankprompt import rerank
    from rankprompt.datasets.candidates import build_candidates
    from rankprompt.files import read_documents, read_queries, read_run
    from rankprompt.journal.cached_model import CachedModel
    from rankprompt.journal.store import Journal
    from rankprompt.judges.guard import AnswerGuard
    from rankprompt.judges.registry import make_judge
    from rankprompt.llm.base import Answer, Request, Usage
    from rankprompt.llm.embedded import converted_folder
    from rankprompt.llm.local.model import LocalModel
    from rankprompt.prompts.prompt import load_prompt
    from rankprompt.rankers import METHODS, RankerSettings

    torch.manual_seed(0)
    words = AutoTokenizer.from_pretrained(converted_folder())
    tiny: Any = LlamaConfig(
        vocab_size=len(words), hidden_size=8, intermediate_size=8, num_hidden_layers=1,
        num_attention_heads=1, max_position_embeddings=8192,
    )  # fmt: skip

    class Instant:
        """A local model in everything but its answers."""

        def __init__(self) -> None:
            self._model = LocalModel(LlamaForCausalLM(tiny).eval(), words, name="instant")

        def __getattr__(self, name: str) -> Any:
            return getattr(self._model, name)

        def answer(self, requests: Sequence[Request]) -> tuple[list[Answer], Usage]:
            answers = []
            for request in requests:
                drawn = zlib.crc32(request.prompt.encode())
                number = len(request.options)
                scores = tuple(-((drawn >> option) % 97) / 9 for option in range(number))
                answers.append(Answer(scores, (1,) * number))
            return answers, Usage(0, 0)

    run = read_run(data / "run.bm25.trec")
    texts = read_documents(data / "docs.jsonl")
    queries = read_queries(data / "queries.tsv")
    found = {}
    for name, prompt, count, depth in SETTINGS:
        method = METHODS[name]
        candidates, _ = build_candidates(run, queries, texts, depth=depth, limit=count)
        model: Any = Instant()
        with tempfile.TemporaryDirectory() as folder:
            journal = Journal(Path(folder) / "journal")
            cached = CachedModel(model, journal)
            judge: Any = make_judge(
                method.question, cached, load_prompt(prompt), decide="soft",
                guard=AnswerGuard(silent=True), passage_tokens=PASSAGE_TOKENS,
            )  # fmt: skip
            ranker = method.bind(RankerSettings(10, 3, False))
            started = time.process_time()
            rerank(candidates, judge, ranker, question=method.question)
            seconds = time.process_time() - started
            journal.close()
        found[f"{name}, `{prompt}`, {count} queries, depth {depth}"] = (
            cached.costs.prompts, seconds,
        )  # fmt: skip
    return found


def measure_apart(source: Path, data: Path) -> dict[str, tuple[int, float]]:
    """Runs ``measure`` in a process of its own, with the rankprompt in a folder."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__)), "--measure", "--data", str(data.resolve())],
        env={**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"},
        cwd=source,
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, tuple[int, float]] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/dl19"))
    parser.add_argument("--before", default=BEFORE, help="a commit")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--measure", action="store_true", help="print this code's own numbers")
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        sys.exit(f"{arguments.data} is absent; give DL19's folder with --data")
    if arguments.measure:
        print(json.dumps(measure(arguments.data)))
        return
    from benchmarks.tables import replace_part, table

    turns: dict[str, list[dict[str, tuple[int, float]]]] = {"before": [], "now": []}
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(
            ["git", "archive", arguments.before, "rankprompt", "search", "eval"],
            cwd=ROOT, check=True, capture_output=True,
        )  # fmt: skip
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
        for turn in range(arguments.turns):
            for name, source in (("before", Path(folder)), ("now", ROOT)):
                turns[name].append(measure_apart(source, arguments.data))
                print(turn, name, turns[name][-1], file=sys.stderr, flush=True)
    rows = []
    for setting in turns["now"][0]:
        # The least of several: other processes can only add to the processor's time.
        (prompts, before), (own, now) = (
            min((turn[setting] for turn in turns[name]), key=lambda one: one[1])
            for name in ("before", "now")
        )
        rows.append(
            [
                setting, f"{prompts:,}", f"{own:,}", f"{prompts / before:,.0f}",
                f"{own / now:,.0f}", f"{before / now * own / prompts:.2f}",
            ]
        )  # fmt: skip
    ratios = [float(row[-1]) for row in rows]
    columns = [
        "", f"prompts at {arguments.before}", "now", "prompts a second and core before", "now",
        "times as many",
    ]  # fmt: skip
    text = f"""\
{table(columns, rows)}

Geometric mean of the last column: {statistics.geometric_mean(ratios):.2f}. Passages of
{PASSAGE_TOKENS} tokens; the best of {arguments.turns} turns. Made by `make bench-host`
on {datetime.now(UTC):%Y-%m-%d}: one core of {os.cpu_count()}, Python {platform.python_version()}.
"""
    print(text)
    replace_part(REPORT, WRITER, text)


if __name__ == "__main__":
    main()
