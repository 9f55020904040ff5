"""Quality and cost of each method with judges that err: docs/results/methods.md and its plots.

The real rankers rank real candidates with simulated judges. The tournament's settings were chosen
on DL19 and are used unchanged on the other collections. Results are kept in
.benchmarks/rankers.jsonl, so an interrupted run continues; delete that file after a change to a
ranker or a judge.
"""

import argparse
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean, pstdev

from benchmarks.simulating import (
    VARIANTS,
    Collection,
    Result,
    Results,
    Variant,
    by_bm25,
    dl19,
    missing_variants,
    simulate,
)
from benchmarks.tables import replace_part, table
from rankprompt.datasets.sample import sample
from rankprompt.eval.figures import to_svg
from rankprompt.eval.plots import draw_costs
from rankprompt.files import write_atomically

REPORT = Path("docs/results/methods.md")
RESULTS = Path(".benchmarks/rankers.jsonl")
JUDGES = ("perfect", "flip=0.1", "flip=0.2", "flip=0.3", "gap", "gap,bias=0.2", "circle=0.2")
PLOTTED = ("flip=0.2", "gap", "gap,bias=0.2")
WRITER = "benchmarks/rankers.py"


def seeds(collection: Collection, judge: str, results: Results) -> list[int]:
    """The seeds for which every variant has a result."""
    of = range(collection.seeds)
    return [
        one for one in of if next(missing_variants(collection, judge, one, results), None) is None
    ]


def values(collection: Collection, judge: str, variant: Variant, results: Results) -> list[Result]:
    """A variant's results with a judge, one for each seed."""
    return [
        results.by_key[collection.name, judge, str(variant), seed]
        for seed in seeds(collection, judge, results)
        if variant.applies_to(judge)
    ]


def rows(collection: Collection, judges: Sequence[str], results: Results) -> Iterator[list[str]]:
    """Yields each variant's row: prompts a query, most rounds, nDCG@10 and deviation by judge."""
    for variant in VARIANTS:
        of = {judge: values(collection, judge, variant, results) for judge in judges}
        every = [result for measured in of.values() for result in measured]
        cells = []
        for measured in of.values():
            reached = [result["ndcg"] for result in measured]
            spread = f" ± {pstdev(reached):.3f}" if len(reached) > 1 else ""
            cells.append(f"{fmean(reached):.3f}{spread}" if reached else "-")
        prompts = fmean(one["prompts"] for one in every)
        yield [
            f"`{variant}`",
            f"{prompts:,.0f}",
            f"{max(one['rounds'] for one in every):,}",
            *cells,
        ]


def plot(collection: Collection, judge: str, results: Results) -> str:
    """Draws quality against prompts; returns the Markdown line of the figure."""
    points = {}
    for variant in VARIANTS:
        measured = values(collection, judge, variant, results)
        if not measured:
            continue
        budget = f" {variant.comparisons}" if variant.comparisons else ""
        points[f"{variant.method}{budget}{f', {variant.order}' if variant.order else ''}"] = (
            fmean(one["prompts"] for one in measured), fmean(one["ndcg"] for one in measured)
        )  # fmt: skip
    means = {"BM25": collection.first_stage} | {name: value for name, (_, value) in points.items()}
    figure = draw_costs(points, means, "prompts a query", f"nDCG@10, {judge}")
    name = f"rankers-{judge.replace('=', '').replace(',', '-').replace('.', '')}.svg"
    write_atomically(REPORT.parent / name, to_svg(figure))
    return f"![{collection.name}, {judge}: nDCG@10 against prompts a query]({name})"


def report(collections: Sequence[Collection], judges: Sequence[str], results: Results) -> str:
    parts = []
    for one in collections:
        count = {judge: len(seeds(one, judge, results)) for judge in judges}
        done = [judge for judge in judges if count[judge]]
        if done:
            rows_of = table(["method", "prompts", "rounds", *done], list(rows(one, done, results)))
            counts = ", ".join(f"{judge} {count[judge]}" for judge in done if judge != "perfect")
            parts.append(
                f"### {one.name}\n\n{len(one.candidates)} queries; BM25 itself has "
                f"{one.first_stage:.3f}. Seeds: {counts}.\n\n{rows_of}\n"
            )
            if one is collections[0]:
                parts += [plot(one, judge, results) + "\n" for judge in PLOTTED if judge in done]
    return "\n".join(parts)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seeds", type=int, default=20, help="of the judges' errors, on DL19")
    parser.add_argument("--other-seeds", type=int, default=5, help="on the other collections")
    parser.add_argument(
        "--report", action="store_true", help="only write the report, from the results so far"
    )
    parser.add_argument("--fitted", action="append", default=[], help="a further judge model")
    options = parser.parse_args(arguments)
    if not options.data.is_dir():
        sys.exit(f"{options.data} is absent; give the collections' folder with --data")
    judges, results = [*JUDGES, *options.fitted], Results(RESULTS)
    collections = [
        dl19(options.data, options.seeds),
        by_bm25("TIME", options.data / "time", options.other_seeds),
        by_bm25("Sample", sample("en"), options.other_seeds),
    ]
    if not options.report:
        simulate(collections, judges, results)
    made = (
        f"Made by `make bench-rankers` on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores, "
        f"Python {platform.python_version()}."
    )
    text = f"{report(collections, judges, results)}\n{made}\n"
    print(text)
    replace_part(REPORT, WRITER, text)


if __name__ == "__main__":
    main()
