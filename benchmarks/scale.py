"""What a million queries of 100 candidates would take by each method: a calculation.

The planner counts prompts and tokens on some real queries with the real tokenizer; the rest is
multiplication by what is stated: the tokens a second of a GPU, and the prices of tokens.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.journal import measure
from benchmarks.tables import replace_part, table
from rankprompt.eval import ndcg_at_10
from rankprompt.llm.embedded import EMBEDDED
from rankprompt.pipeline.config import (
    BudgetConfig,
    DataConfig,
    JudgeConfig,
    ModelConfig,
    RerankConfig,
)
from rankprompt.planning.config import Plan, PlanConfig
from rankprompt.planning.plan import plan_rerank
from rankprompt.types import Qrels, Run

__all__ = ["rows_of"]

PAGE = Path("docs/scale.md")
WRITER = "benchmarks/scale.py"
QUERIES = 1_000_000
# What a last stage may ask about the best of the candidates, and how many these are.
LAST, BEST = ("setwise-heapsort", "heapsort", "allpair"), 10
ANSWERS = 20_000  # of the journal whose bytes an answer are taken


def plan_sample(options: argparse.Namespace, depth: int) -> Plan:
    """Plans some queries with pairs as published; nothing is asked."""
    data = options.data
    config = RerankConfig(
        data=DataConfig(
            data / "run.bm25.trec", data / "queries.tsv", data / "docs.jsonl",
            depth=depth, limit=options.sample,
        ),
        model=ModelConfig(name=EMBEDDED),
        judge=JudgeConfig(prompt="prp", order="both"),
        budget=BudgetConfig(price_in=options.price_in, price_out=options.price_out),
    )  # fmt: skip

    def quality(run: Run, qrels: Qrels) -> float:
        return ndcg_at_10(qrels)(run)

    return plan_rerank(PlanConfig(config, data / "qrels.trec", seeds=1, calibrate=False), quality)


def rounded(number: float) -> str:
    """Two figures, for a sample stands for all, with the unit's prefix in words."""
    if not number:
        return "0"
    digits = 1 - math.floor(math.log10(abs(number)))
    number = round(number, digits)
    for size, word in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if number >= size:
            return f"{number / size:,.3g} {word}"
    return f"{number:,.3g}" if number < 1000 else f"{number:,.0f}"


def rows_of(
    plan: Plan, *, queries: int, tokens_a_second: float, bytes_an_answer: float
) -> list[list[str]]:
    """The table's rows: a method each, those that ask the fewest tokens first."""
    times, rows = queries / plan.queries, []
    for method in sorted(plan.methods, key=lambda one: one.tokens or 0):
        assert method.tokens is not None
        hours = times * method.tokens / tokens_a_second / 3600
        prompts = times * method.prompts
        rows.append([
            f"{plan.documents / plan.queries:,.0f}",
            f"`{method.method}`",
            f"`{method.prompt}`",
            rounded(prompts),
            rounded(times * method.tokens),
            rounded(hours),
            rounded(times * (method.cost or 0)),
            rounded(prompts * bytes_an_answer / 1e9),
        ])  # fmt: skip
    return rows


def bytes_an_answer() -> float:
    """What the journal takes for an answer about a pair."""
    with TemporaryDirectory() as folder:
        (measured,) = measure(Path(folder) / "a.journal", [ANSWERS])
    return measured.bytes / measured.answers


def report(options: argparse.Namespace) -> str:
    stored = bytes_an_answer()
    plan, last = plan_sample(options, options.depth), plan_sample(options, BEST)
    last.methods[:] = [one for one in last.methods if one.method in LAST]
    rows = [
        row
        for one in (plan, last)
        for row in rows_of(
            one,
            queries=options.queries,
            tokens_a_second=options.tokens_a_second,
            bytes_an_answer=stored,
        )
    ]
    columns = [
        "candidates",
        "method",
        "prompt",
        "prompts",
        "tokens",
        "GPU hours",
        "money",
        "journal, GB",
    ]
    return f"""{table(columns, rows)}

{options.queries:,} queries; {BEST} candidates are what a last stage reads. By the plans of
{plan.queries} queries of {options.data.name} (`prp` for pairs, in both orders; tokens by the
tokenizer of {EMBEDDED}, the whole of each prompt). GPU hours are at
{options.tokens_a_second:,.0f} tokens a second, which is no measurement, and money at
{options.price_in:g} and {options.price_out:g} for a million tokens read and written: put in your
own (`--tokens-a-second`, `--price-in`, `--price-out`). The journal has {stored:.0f} bytes for each
answer about a pair. Calculated by `make bench-scale` on {datetime.now(UTC):%Y-%m-%d}.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/dl19"))
    parser.add_argument("--sample", type=int, default=8, help="queries that are planned")
    parser.add_argument("--depth", type=int, default=100)
    parser.add_argument("--queries", type=int, default=QUERIES)
    parser.add_argument("--tokens-a-second", type=float, default=20_000, help="of one GPU")
    parser.add_argument("--price-in", type=float, default=0.1, help="of a million tokens read")
    parser.add_argument("--price-out", type=float, default=0.4, help="of a million written")
    parser.add_argument("--dry", action="store_true", help="write no report")
    options = parser.parse_args(arguments)
    if not options.data.is_dir():
        sys.exit(f"{options.data} is absent; give DL19's folder with --data")
    text = report(options)
    print(text)
    if not options.dry:
        replace_part(PAGE, WRITER, text)


if __name__ == "__main__":
    main()
