"""How far answers move with what is computed together: docs/drift.md.

The embedded model, in float32 and bfloat16: shared starts kept or not, prompts in batches or alone,
one number format against the other. Log-likelihoods are in nats, of labels and of queries.
"""

import os
import platform
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import torch

from benchmarks.tables import table
from rankprompt.files import read_documents, read_qrels, read_queries
from rankprompt.models import Request
from rankprompt.models.embedded import converted
from rankprompt.models.local import LocalModel, load
from rankprompt.prompt import load_prompt
from rankprompt.readings import reading
from rankprompt.sample import sample

REPORT = Path("docs/drift.md")
PROMPTS = ("prp", "query-likelihood-demonstrations")


def requests_of(prompt: str) -> list[Request]:
    source = sample("en")
    queries, qrels = read_queries(source / "queries.tsv"), read_qrels(source / "qrels.trec")
    documents = read_documents(source / "docs.jsonl")
    asked = reading(load_prompt(prompt), "scoring")
    found: list[Request] = []
    for query in list(queries)[:3]:
        texts = [documents[name].text for name in list(qrels[query])[:4]]
        for first in texts:
            for second in texts:
                if first != second:
                    found += asked.requests(queries[query], first, second)
    return list(dict.fromkeys(found))


def answer(model: LocalModel, requests: Sequence[Request], *, alone: bool) -> list[float]:
    model.forget()
    batches = [[i] for i in range(len(requests))] if alone else model.plan(requests)
    found: dict[int, tuple[float, ...]] = {}
    for batch in batches:
        answers, _ = model.answer([requests[i] for i in batch])
        found |= {i: one.loglikelihoods for i, one in zip(batch, answers, strict=True)}
    return [value for i in range(len(requests)) for value in found[i]]


def apart(one: Sequence[float], other: Sequence[float]) -> str:
    return f"{max(abs(a - b) for a, b in zip(one, other, strict=True)):.6f}"


def main() -> None:
    rows = []
    whole: dict[tuple[str, str], list[float]] = {}
    for dtype in ("float32", "bfloat16"):
        sharing = load(str(converted()), dtype=dtype)
        plain = load(str(converted()), dtype=dtype, prefix_bytes=0)
        for prompt in PROMPTS:
            requests = requests_of(prompt)
            bare = [request._replace(breaks=()) for request in requests]
            started = time.perf_counter()
            batched = answer(plain, bare, alone=False)
            seconds = time.perf_counter() - started
            whole[dtype, prompt] = batched
            tokens = sum(plain.length(request) for request in bare)
            rows.append(
                [
                    f"{dtype}, `{prompt}`",
                    str(len(requests)),
                    apart(answer(sharing, requests, alone=False), batched),
                    apart(answer(plain, bare, alone=True), batched),
                    apart(whole["float32", prompt], batched) if dtype != "float32" else "",
                    f"{tokens / seconds:.0f}",
                ]
            )
    columns = [
        "", "prompts", "starts shared or not", "in batches or alone", "against float32",
        "tokens a second",
    ]  # fmt: skip
    text = f"""\
# How far answers move with what is computed together

The largest difference of a log-likelihood, in nats (a label's, or a whole query's):

{table(columns, rows)}

Made by `make bench-drift` on {datetime.now(UTC):%Y-%m-%d}: {torch.get_num_threads()} threads of
{os.cpu_count()} cores, torch {torch.__version__}, Python {platform.python_version()}.
"""
    print(text)
    REPORT.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
