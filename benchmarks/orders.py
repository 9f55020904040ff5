"""Prompts that ``order`` lazy saves the sorts, before simulated judges: docs/choosing.md's table.

The judges err as ``oracle`` does, but are asked through ``PairwiseJudge``, whose prompts are
counted. The rankings of both ways are the same, which is asserted.
"""

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean

from benchmarks.tables import replace_part, table
from rankprompt import Candidates, Document, rerank
from rankprompt.datasets.candidates import build_candidates
from rankprompt.files import read_qrels, read_queries, read_run
from rankprompt.journal.cached_model import CachedModel
from rankprompt.journal.store import Journal
from rankprompt.judges.adapters.pairwise import Choice
from rankprompt.judges.guard import AnswerGuard
from rankprompt.judges.pairwise import PairwiseJudge
from rankprompt.judges.simulated.error_model import ErrorModel, parse_error_model
from rankprompt.llm.base import Answer, Request, Usage
from rankprompt.prompts.prompt import Prompt
from rankprompt.prompts.template import parse_template
from rankprompt.rankers import METHODS, RankerSettings
from rankprompt.rankers.base import Ranker
from rankprompt.rankers.seeded_random import uniform

PAGE = Path("docs/choosing.md")
WRITER = "benchmarks/orders.py"
SORTS = ("quickselect", "heapsort", "pipelined")
JUDGES = ("perfect", "gap", "gap,bias=0.2", "gap,bias=-0.2")
# Passages are shown by their ids.
PROMPT = Prompt(
    "ids", "choice", parse_template("{query} {first} {second}"), parse_template(""), ("A", "B")
)


class Simulated:
    """A model that reads the grades of the two documents shown, with the errors of an oracle."""

    name = fingerprint = "simulated"
    context_length = 1000

    def __init__(self, errors: ErrorModel, grades: Mapping[str, int]) -> None:
        self._errors, self._grades = errors, grades
        self.prompts = 0

    def plan(self, requests: Sequence[Request]) -> list[list[int]]:
        return [list(range(len(requests)))]

    def answer(self, requests: Sequence[Request]) -> tuple[list[Answer], Usage]:
        self.prompts += len(requests)
        return [self._answer(*request.prompt.split()) for request in requests], Usage(0, 0)

    def _answer(self, query: str, shown: str, other: str) -> Answer:
        pair = (min(shown, other), max(shown, other))
        first = self._errors.answer(
            pair,
            self._grades.get(pair[0], 0) - self._grades.get(pair[1], 0),
            shown_first=shown == pair[0],
            again=shown != pair[0],
            draw=lambda purpose, *names: uniform(0, purpose, query, *names),
        )
        wins = 0.01 + 0.98 * (first if shown == pair[0] else 1 - first)
        return Answer((math.log(wins), math.log(1 - wins)), (1, 1))

    def length(self, request: Request) -> int:
        return len(request.prompt.split())

    def truncate(self, text: str, tokens: int) -> str:
        del tokens
        return text

    def escape(self, text: str) -> str:
        return text


def count(
    one: Candidates, ranker: Ranker, model: Simulated, order: str
) -> tuple[dict[str, list[str]], int]:
    """A query's ranking, and the prompts that it took."""
    before = model.prompts
    with closing(Journal(None)) as journal:
        judge = PairwiseJudge(
            CachedModel(model, journal), Choice(PROMPT), order=order, guard=AnswerGuard(silent=True)
        )
        rankings = rerank([one], judge, ranker).rankings
    return rankings, model.prompts - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/dl19"))
    parser.add_argument("--queries", type=int, help="as many in place of all")
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        sys.exit(f"{arguments.data} is absent; give DL19's folder with --data")
    run = read_run(arguments.data / "run.bm25.trec")
    qrels = read_qrels(arguments.data / "qrels.trec")
    ids = {document: document for found in run.values() for document in found}
    queries = {query: query for query in read_queries(arguments.data / "queries.tsv")}
    texts = {document: Document(document, document) for document in ids}
    candidates, _ = build_candidates(run, queries, texts, depth=100, limit=arguments.queries)
    rows = []
    for name in SORTS:
        ranker = METHODS[name].bind(RankerSettings(10))
        for notation in JUDGES:
            means = {}
            for order in ("both", "lazy"):
                found = [
                    count(
                        one,
                        ranker,
                        Simulated(parse_error_model(notation), qrels.get(one.query.id, {})),
                        order,
                    )
                    for one in candidates
                ]
                means[order] = fmean(prompts for _, prompts in found), [one for one, _ in found]
            (both, rankings), (lazy, same) = means.values()
            assert rankings == same, f"{name}, {notation}: the rankings differ"
            rows.append([f"`{name}`", f"`{notation}`", f"{both:.0f}", f"{lazy:.0f}",
                         f"{lazy / both:.2f}"])  # fmt: skip
            print(" ".join(rows[-1]), file=sys.stderr, flush=True)
    columns = ["method", "judge", "prompts, `both`", "prompts, `lazy`", "ratio"]
    text = f"""{table(columns, rows)}

A query of DL19, the top 10 of 100; equal rankings asserted. A bias above 0 prefers the passage
shown first. Made by `make bench-orders` on {datetime.now(UTC):%Y-%m-%d}.
"""
    print(text)
    replace_part(PAGE, WRITER, text)


if __name__ == "__main__":
    main()
