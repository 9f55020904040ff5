"""Encoding all prompts of a plan together against encoding each alone: `make bench-encoding`.

The loop that encodes alone renders the chat template for each prompt, reads the prompt, and reads
it once more with each option. Both encode the same requests, with the embedded model's tokenizer,
in one process and on one core; what they find is compared. What is counted is the processor's time.
"""

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import permutations, takewhile
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from benchmarks.tables import replace_part, table
from rankprompt.datasets.candidates import build_candidates
from rankprompt.files import read_documents, read_queries, read_run
from rankprompt.judges.adapters.pairwise import pairwise_adapter
from rankprompt.judges.adapters.pointwise import QueryLikelihood
from rankprompt.judges.adapters.setwise import Selected
from rankprompt.llm.base import Request
from rankprompt.llm.embedded import converted_folder
from rankprompt.llm.local.batch_encoding import Encoder
from rankprompt.llm.local.chat_template import ChatTemplate
from rankprompt.llm.local.encoding import make_shareable, truncate
from rankprompt.prompts.prompt import load_prompt
from rankprompt.types import Candidates

REPORT = Path("docs/results/speed.md")
WRITER = "benchmarks/encoding.py"
PASSAGE_TOKENS = 64
CHUNK = 512
TURNS = 3


def encode_alone(tokenizer: Any, request: Request) -> tuple[list[int], list[list[int]]]:
    """Encodes a request's context, and what its options add to it."""
    prompt, options, special = request.prompt, request.options, True
    if request.chat and tokenizer.chat_template:
        turns = [{"role": "user", "content": prompt}]
        prompt = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        options, special = tuple(option.lstrip() for option in options), False
    read = partial(tokenizer, add_special_tokens=special)
    context = read(prompt, return_offsets_mapping=True)["input_ids"]
    whole = [read(prompt + option)["input_ids"] for option in options]
    columns = zip(context, *whole, strict=False)
    shared = sum(1 for _ in takewhile(lambda tokens: len(set(tokens)) == 1, columns))
    return context[:shared], [ids[shared:] for ids in whole]


def pairs(candidates: Sequence[Candidates]) -> Iterator[Request]:
    adapter = pairwise_adapter(load_prompt("prp"), "scoring")
    for query, documents, _ in candidates:
        for first, second in permutations(documents, 2):
            yield from adapter.requests(query.text, [first.text, second.text])


def sets(candidates: Sequence[Candidates]) -> Iterator[Request]:
    """Sets of 20 passages, each begun with another one."""
    adapter = Selected(load_prompt("setwise"))
    for query, documents, _ in candidates:
        for start in range(len(documents)):
            shown = [*documents[start:], *documents[:start]]
            yield from adapter.requests(query.text, [one.text for one in shown])


def single(candidates: Sequence[Candidates]) -> Iterator[Request]:
    adapter = QueryLikelihood(load_prompt("query-likelihood-demonstrations"))
    for query, documents, _ in candidates:
        for document in documents:
            yield from adapter.requests(query.text, [document.text])


KINDS: dict[str, tuple[Callable[[Sequence[Candidates]], Iterator[Request]], int]] = {
    "pairs, `prp`": (pairs, 2),
    "sets of 20, `setwise`": (sets, 3),
    "single passages, `query-likelihood-demonstrations`": (single, 20),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/dl19"))
    parser.add_argument("--turns", type=int, default=TURNS)
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        sys.exit(f"{arguments.data} is absent; give DL19's folder with --data")
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    tokenizer = AutoTokenizer.from_pretrained(converted_folder())
    make_shareable(tokenizer)
    run = read_run(arguments.data / "run.bm25.trec")
    texts = read_documents(arguments.data / "docs.jsonl")
    queries = read_queries(arguments.data / "queries.tsv")
    rows = []
    for name, (make, count) in KINDS.items():
        found, _ = build_candidates(run, queries, texts, depth=20, limit=count)
        candidates = [
            one._replace(
                documents=tuple(
                    document._replace(text=truncate(tokenizer, document.text, PASSAGE_TOKENS))
                    for document in one.documents
                )
            )
            for one in found
        ]
        requests = list(make(candidates))
        alone_seconds, together_seconds = [], []
        for _ in range(arguments.turns):
            started = time.process_time()
            alone = [encode_alone(tokenizer, request) for request in requests]
            alone_seconds.append(time.process_time() - started)
            chat = ChatTemplate(tokenizer, "embedded")
            started = time.process_time()
            encoder = Encoder(tokenizer, chat=chat, shortest_start=16)
            together = [
                one
                for start in range(0, len(requests), CHUNK)
                for one in encoder(requests[start : start + CHUNK])
            ]
            together_seconds.append(time.process_time() - started)
            for request, (context, tails), one in zip(requests, alone, together, strict=True):
                shown = {last: (*row.stem, token) for row in one.rows for last, token in row.lasts}
                ours = [list(shown[place]) for place in range(len(request.options))]
                if list(one.context) != context or ours != tails:
                    sys.exit(f"{name}: the encodings differ")
        before, now = min(alone_seconds), min(together_seconds)
        rows.append(
            [
                name, f"{len(requests):,}", f"{1e6 * before / len(requests):,.0f}",
                f"{1e6 * now / len(requests):,.0f}", f"{before / now:.1f}",
            ]
        )  # fmt: skip
        print(" ".join(rows[-1]), file=sys.stderr, flush=True)
    columns = [
        "", "prompts", "microseconds a prompt, each alone", "together", "times as fast",
    ]  # fmt: skip
    text = f"""\
{table(columns, rows)}

Depth 20, passages of {PASSAGE_TOKENS} tokens, {CHUNK} prompts at a time; the best of
{arguments.turns} turns; equal encodings asserted. Made by `make bench-encoding`
on {datetime.now(UTC):%Y-%m-%d}: one core of {os.cpu_count()}, Python {platform.python_version()}.
"""
    print(text)
    replace_part(REPORT, WRITER, text)


if __name__ == "__main__":
    main()
