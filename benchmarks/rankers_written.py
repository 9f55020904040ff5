"""Rankers that ask about one passage or several, with the embedded model: docs/rankers-written.md.

The sample collection's queries, each with BM25's first passages; written answers beside logits.
"""

import os
import platform
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.tables import table, write_filled
from rankprompt import Job, run_job
from rankprompt.datasets.sample import sample
from rankprompt.eval import parse_measure, score
from rankprompt.files import (
    read_documents,
    read_qrels,
    read_queries,
    read_run,
    write_run,
)
from rankprompt.retrieval import bm25

REPORT = Path("docs/rankers-written.md")
DEPTH = 5
NDCG = parse_measure("ndcg@10")
ROWS: tuple[dict[str, Any], ...] = (
    {"method": "listwise", "mode": "generation"},
    {"method": "listwise"},
    {"method": "setwise-heapsort", "mode": "generation"},
    {"method": "setwise-heapsort"},
    {"method": "setwise-insertion"},
    {"method": "tourrank", "set_size": DEPTH},
    {"method": "pointwise"},
    {"method": "pointwise", "prompt": "relevance-yes-no"},
    {"method": "pointwise", "prompt": "relevance-labels"},
)
TEXT = """\
# Listings, selections and gradings by a real model

The embedded model of 135M parameters, the {queries} queries of the sample collection, BM25's first
{depth}, by `rankprompt rerank --depth {depth}` and the options of the first column; from the
manifests (`costs`, `diagnostics`) and `rankprompt evaluate`. A row asks what no row above has
asked: they share a journal, in which `setwise-insertion` finds many answers.

{table}

* `unreadable`: answers that name no label; the passages stay as they were.
* `repaired`: listings with missing, doubled or invented labels, mended so that no passage is lost;
  `missing` counts the labels that were not written.
* `first_chosen`: the share of answers whose best is the passage shown first.

No passage is lost, and the counts say why little is gained: this model is too small for listings
and selections. Where `first_chosen` is near 1, what moves in these rankings is position and not
relevance; where nearly all answers are repaired or unreadable, the order is the first stage's. Take
a capable model for these methods.

{made}
"""


def rows(folder: Path) -> Iterator[list[str]]:
    source = sample("en")
    queries, docs = source / "queries.tsv", source / "docs.jsonl"
    qrels = read_qrels(source / "qrels.trec")
    found = bm25(read_queries(queries), read_documents(docs), depth=10)
    first = folder / "bm25.trec"
    write_run(first, {query: list(scores) for query, scores in found.items()}, tag="bm25")

    def reached(run: Path) -> str:
        return f"{score(read_run(run), qrels, [NDCG]).means[NDCG.name]:.4f}"

    yield ["BM25", *[""] * 6, reached(first)]
    for number, options in enumerate(ROWS):
        output = folder / f"{number}.trec"
        job = Job(
            run=first,
            queries=queries,
            docs=docs,
            output=output,
            journal=folder / "all.journal",
            depth=DEPTH,
            **options,
        )
        made = run_job(job)
        costs, said = made["costs"], made["diagnostics"]
        label = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in options.items())
        chosen = said.get("first_chosen")
        row = [
            f"`{label}`",
            f"{costs['prompts']:,}",
            f"{costs['prompt_tokens']:,}",
            *(str(said.get(name, 0)) for name in ("unreadable", "repaired", "missing")),
            "" if chosen is None else f"{chosen:.2f}",
            reached(output),
        ]
        print(*row, sep=" | ", file=sys.stderr, flush=True)
        yield row


def main() -> None:
    with TemporaryDirectory() as folder:
        columns = [
            "", "prompts", "tokens", "unreadable", "repaired", "missing", "`first_chosen`",
            "nDCG@10",
        ]  # fmt: skip
        found = table(columns, list(rows(Path(folder))))
    values = {
        "table": found,
        "depth": str(DEPTH),
        "queries": str(len(read_queries(sample("en") / "queries.tsv"))),
        "made": f"Made by `make bench-rankers-written` on {datetime.now(UTC):%Y-%m-%d}: "
        f"{os.cpu_count()} cores, Python {platform.python_version()}.",
    }
    write_filled(REPORT, TEXT, values)


if __name__ == "__main__":
    main()
