"""How the local engine scales in depth, queries and passage length: docs/scaling.md.

The embedded model on DL19. Two methods: heapsort with the published prompt, where the answers say
what is asked next, and the default, which reads each passage once. At a few points the naive engine
of docs/engine.md stands beside ours, at most three times the work.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.engine import cut, run_naive, run_ours
from benchmarks.flops import FlopCounter, Products, products
from benchmarks.scaling_report import Measured, Point, Report, Sweep
from rankprompt import Candidates, Document
from rankprompt.datasets.candidates import build_candidates
from rankprompt.files import check_writable, read_documents, read_queries, read_run
from rankprompt.llm.embedded import EMBEDDED, converted
from rankprompt.llm.local.loading import load_pair
from rankprompt.llm.local.model import LocalModel
from rankprompt.pipeline.config import EMBEDDED_PROMPT
from rankprompt.rankers import METHODS

# Series: method, prompt, engine.
SERIES = {
    "heapsort": ("heapsort", "prp", "ours"),
    "heapsort, naive": ("heapsort", "prp", "naive"),
    "default": ("allpair", EMBEDDED_PROMPT, "ours"),
}
K = 10


def sweeps(quick: bool) -> list[Sweep]:
    """About 240,000 tokens of ours and 220,000 of the naive engine; a few thousand when quick."""
    if quick:
        depths = [Point(1, depth, 16) for depth in (2, 3, 4)]
        counts = [Point(count, 2, 16) for count in (1, 2)]
        lengths = [Point(1, 2, tokens, exact=True) for tokens in (16, 32)]
        naive = (depths[:2], counts[:1], lengths)
    else:
        depths = [Point(3, depth, 64) for depth in (5, 10, 20, 40)]
        counts = [Point(count, 10, 64) for count in (1, 3, 9)]
        lengths = [Point(2, 10, tokens, exact=True) for tokens in (32, 64, 128, 256)]
        naive = (depths[:3], counts[:2], [lengths[0], lengths[2]])
    return [
        Sweep(*one)
        for one in zip(
            ("depth", "queries", "passage_tokens"), (depths, counts, lengths), naive, strict=True
        )
    ]


class Bench:
    """The collection and the model."""

    def __init__(self, data: Path, dtype: torch.dtype) -> None:
        self._run = read_run(data / "run.bm25.trec")
        self._texts = read_documents(data / "docs.jsonl")
        self._queries = read_queries(data / "queries.tsv")
        # Two, for our engine lays out the weights of its own.
        self._plain, own = (
            load_pair(str(converted()), dtype=dtype, device=torch.device("cpu")) for _ in range(2)
        )
        self.network: Any = own[0]
        self._model = LocalModel(*own, name=EMBEDDED)

    def measure(self, series: str, point: Point) -> Measured:
        """Runs a series at a point, from nothing kept.

        Raises:
            SystemExit: engine and model disagree on the number of tokens.
        """
        method, prompt, engine = SERIES[series]
        ranker = METHODS[method].ranker(K, K, False)
        candidates = self._candidates(point)
        with FlopCounter(self._plain[0] if engine == "naive" else self.network) as counter:
            if engine == "naive":
                outcome = run_naive(candidates, ranker, self._plain, prompt)
            else:
                outcome = run_ours(candidates, ranker, self._model, prompt)
        if counter.tokens != outcome.tokens:
            sys.exit(f"{outcome.tokens:,} tokens counted, {counter.tokens:,} seen by the model")
        return Measured(series, point, outcome, counter.flops)

    def _candidates(self, point: Point) -> list[Candidates]:
        found, _ = build_candidates(
            self._run, self._queries, self._texts, depth=100, limit=point.queries
        )
        if point.exact:
            found = [_filled(one, point.depth) for one in found]
        found = [one._replace(documents=one.documents[: point.depth]) for one in found]
        return cut(found, self._model, point.passage_tokens)


def _filled(candidates: Candidates, depth: int) -> Candidates:
    """Most passages end before 128 tokens: each goes on with those that are not ranked."""
    documents = candidates.documents
    longer = [
        Document(one.id, " ".join(part.text for part in documents[place::depth]))
        for place, one in enumerate(documents[:depth])
    ]
    return candidates._replace(documents=tuple(longer))


def measure(bench: Bench, chosen: Sequence[Sweep]) -> list[Measured]:
    """Every series at every point of its sweeps; a point of two sweeps once."""
    jobs: dict[tuple[str, Point], None] = {}
    for sweep in chosen:
        for point in sweep.points:
            for series, (_, _, engine) in SERIES.items():
                if engine == "ours" or point in sweep.naive:
                    jobs[series, point] = None
    found = []
    for series, point in jobs:
        one = bench.measure(series, point)
        found.append(one)
        outcome = one.outcome
        print(
            f"{series} {tuple(point)}: {outcome.tokens:,} tokens in {outcome.seconds:.1f} s",
            file=sys.stderr,
            flush=True,
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/dl19"))
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--output-dir", type=Path, default=Path("docs"))
    parser.add_argument("--quick", action="store_true", help="a trial of a minute, at tiny sizes")
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        sys.exit(f"{arguments.data} is absent; give DL19's folder with --data")
    if arguments.quick and arguments.output_dir.resolve() == Path("docs").resolve():
        sys.exit("--quick measures nothing worth keeping; name another folder with --output-dir")
    check_writable(arguments.output_dir / "scaling.md")
    chosen = sweeps(arguments.quick)
    bench = Bench(arguments.data, getattr(torch, arguments.dtype))
    repeats = 2 if arguments.quick else 5
    machine: list[Products] = [products(bench.network, repeats)]
    for series in SERIES:
        bench.measure(series, Point(1, 2, 16))  # the first call of everything is slow
    found = measure(bench, chosen)
    machine.append(products(bench.network, repeats))
    formula = FlopCounter(bench.network).formula
    print(Report(chosen, found, machine, formula, arguments.dtype).write(arguments.output_dir))


if __name__ == "__main__":
    main()
