"""What each method gives with the default model's real answers: docs/rankers-real.md.

DL19's first 20 candidates of BM25. All methods share a journal, so each prompt is asked at most
once, whichever method asks it first; a run that was cut off goes on. Passages are cut to 64 tokens
for the published prompt, whose 380 prompts a query would take too long otherwise.
"""

import argparse
import os
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean, pstdev
from typing import NamedTuple

from benchmarks.default import Counting
from benchmarks.tables import table, write_filled
from rankprompt import Candidates, as_run, rerank
from rankprompt.datasets.candidates import read_candidates
from rankprompt.eval import parse_measure, score
from rankprompt.files import read_qrels
from rankprompt.journal.store import Journal
from rankprompt.judges.adapters.pairwise import reading
from rankprompt.judges.first_stage_prior import PriorJudge
from rankprompt.judges.pairwise import Judge, OracleJudge, PairwiseJudge
from rankprompt.judges.simulated.error_model import JudgeModel
from rankprompt.judges.simulated.fit_to_journal import Heard, hear_journal
from rankprompt.llm import Request, load_model
from rankprompt.pipeline.config import EMBEDDED_PROMPT
from rankprompt.prompts.prompt import Prompt, load_prompt
from rankprompt.rankers import Ranker, method
from rankprompt.types import Qrels

REPORT = Path("docs/rankers-real.md")
FOLDER = Path(".benchmarks")
K, DEPTH, TOKENS, SEEDS = 10, 20, 64, 10
NDCG = parse_measure("ndcg@10")
METHODS = (
    ("allpair", None),
    ("heapsort", None),
    ("sliding", None),
    ("quickselect", None),
    ("bradley-terry", 50),
    ("bradley-terry", 100),
    ("bradley-terry", None),
    ("quickselect,allpair@12", None),
)


TEXT = """\
# What each method gives with the default model's answers

nDCG@10 of DL19's first 20 candidates of BM25 ({queries} queries), reranked for the top 10 by the
embedded SmolLM2-135M. Comparisons and prompts are for a query; the methods share a journal, so a
prompt is new only where no row above has asked it, and all together ask each at most once.

## The default prompt

One passage at a time: a prompt for each passage, whatever the method, and every method that is
exact gives the same ranking.

{default}

## The published prompt

Two passages at a time, each cut to 64 tokens, in both orders. BM25 itself has {first} here.
{limited}

{published}

The last column is a judge fitted to the {heard} answers in the journal, simulated (10 seeds; its
answers are hard, so `--decide` makes no difference to it but where ties are):

    {fitted}

An error of 0.5 is a coin's: then the less a method asks and the more ties it leaves alone, the more
of BM25's order is kept. Such a judge errs on each pair anew; where the real figures differ, the
model's errors hang together.

{made}
"""


class Asked(NamedTuple):
    """How pairs are put to the model, as the options of ``rankprompt rerank``."""

    prompt: str
    order: str = "both"
    decide: str = "soft"
    passage_tokens: int | None = None

    def __str__(self) -> str:
        ordered = reading(load_prompt(self.prompt), "scoring").ordered
        order = f" --order {self.order} --decide {self.decide}" if ordered else ""
        tokens = f" --passage-tokens {self.passage_tokens}" if self.passage_tokens else ""
        return f"--prompt {self.prompt}{order}{tokens}"


PUBLISHED = [Asked("prp", "both", "agreement", TOKENS), Asked("prp", "both", "soft", TOKENS)]


class Bench:
    """The collection, the model, and what it has been asked in any row."""

    def __init__(self, data: Path) -> None:
        _, self.candidates, _ = read_candidates(
            data / "run.bm25.trec", data / "queries.tsv", data / "docs.jsonl", depth=DEPTH
        )
        self.qrels: Qrels = read_qrels(data / "qrels.trec")
        self.model = load_model("smollm2-135m")
        self.asked: set[Request] = set()

    def measure(self, candidates: Sequence[Candidates], judge: Judge, ranker: Ranker) -> float:
        return self.ndcg(rerank(candidates, judge, ranker).rankings)

    def ndcg(self, rankings: Mapping[str, Sequence[str]]) -> float:
        values = score(as_run(rankings), self.qrels, [NDCG]).by_query[NDCG.name]
        return fmean(values[query] for query in rankings)

    def rows(
        self,
        asked: Asked,
        candidates: Sequence[Candidates],
        journal: Path,
        fitted: JudgeModel | None = None,
    ) -> Iterator[list[str]]:
        """A row a method: comparisons, prompts alone and beyond the rows before, nDCG@10."""
        prompt: Prompt = load_prompt(asked.prompt)
        answering = Counting(self.model, Journal(journal))
        for name, budget in METHODS:
            judge = PairwiseJudge(
                answering,
                reading(prompt, "scoring"),
                order=asked.order,
                decide=asked.decide,
                passage_tokens=asked.passage_tokens,
            )
            answering.seen.clear()
            ranker = method(name).ranker(K, K, False, budget)
            reached = self.measure(
                candidates, PriorJudge(judge, candidates, prompt.prior or 0.0), ranker
            )
            new = len(answering.seen - self.asked)
            self.asked |= answering.seen
            each = len(candidates)
            label = f"`{name}{f' --comparisons {budget}' if budget else ''}`"
            counts = [(judge.asked + judge.from_journal), len(answering.seen), new]
            row = [label, *(f"{count / each:,.0f}" for count in counts), f"{reached:.3f}"]
            print(asked, *row, sep=" | ", file=sys.stderr, flush=True)
            yield [*row, *([self.simulated(asked, candidates, ranker, fitted)] if fitted else [])]

    def simulated(
        self, asked: Asked, candidates: Sequence[Candidates], ranker: Ranker, fitted: JudgeModel
    ) -> str:
        reached = []
        for seed in range(SEEDS):
            settings = {"order": asked.order, "decide": asked.decide, "seed": seed}
            judge = OracleJudge(self.qrels, errors=fitted, **settings)  # type: ignore[arg-type]
            reached.append(self.measure(candidates, judge, ranker))
        return f"{fmean(reached):.3f} ± {pstdev(reached):.3f}"

    def hear(self, asked: Asked, candidates: Sequence[Candidates], journal: Path) -> Heard:
        return hear_journal(
            journal,
            candidates,
            self.qrels,
            model=self.model,
            reading=reading(load_prompt(asked.prompt), "scoring"),
            judging={"order": asked.order, "passage_tokens": asked.passage_tokens},
        )


def answer_all(bench: Bench, candidates: Sequence[Candidates], journal: Path) -> None:
    """Asks what the journal lacks: all pairs, which are what the judge is fitted to."""
    asked = PUBLISHED[0]
    judge = PairwiseJudge(
        Counting(bench.model, Journal(journal)),
        reading(load_prompt(asked.prompt), "scoring"),
        order=asked.order,
        decide=asked.decide,
        passage_tokens=asked.passage_tokens,
    )
    rerank(candidates, judge, method("allpair").ranker(K, K, False))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/dl19"))
    parser.add_argument("--limit", type=int, help="queries of the published prompt")
    given = parser.parse_args(arguments)
    if not given.data.is_dir():
        sys.exit(f"{given.data} is absent; give the collection's folder with --data")
    FOLDER.mkdir(exist_ok=True)
    bench = Bench(given.data)
    columns = ["method", "comparisons", "prompts", "of these new", "nDCG@10"]
    default = Asked(EMBEDDED_PROMPT)
    own = list(bench.rows(default, bench.candidates, FOLDER / "default.journal"))
    some, journal = bench.candidates[: given.limit], FOLDER / "rankers-real.journal"
    answer_all(bench, some, journal)
    heard = bench.hear(PUBLISHED[0], some, journal)
    fitted = heard.model()
    parts = [
        f"`{asked}`:\n\n"
        + table([*columns, "simulated"], list(bench.rows(asked, some, journal, fitted)))
        for asked in PUBLISHED
    ]
    first = {one.query.id: [document.id for document in one.documents] for one in some}
    values = {
        "default": f"`{default}`:\n\n{table(columns, own)}",
        "published": "\n\n".join(parts),
        "limited": f"Only the first {len(some)} queries were asked." if given.limit else "",
        "queries": str(len(bench.candidates)),
        "first": f"{bench.ndcg(first):.3f}",
        "heard": f"{heard.answers:,}",
        "fitted": str(fitted),
        "made": f"Made by `make bench-rankers-real` on {datetime.now(UTC):%Y-%m-%d}: "
        f"{os.cpu_count()} cores, Python {platform.python_version()}.",
    }
    write_filled(REPORT, TEXT, values)


if __name__ == "__main__":
    main()
