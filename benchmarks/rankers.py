"""What each method makes of a judge that errs, at which price: docs/results/methods.md.

The real rankers rank real candidates before simulated judges. The tournament's settings were chosen
on DL19; the others show them unchanged. What has been simulated is kept in
.benchmarks/rankers.jsonl, so a run that was cut off goes on; delete that file after a change to a
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
from typing import Any

from benchmarks.simulating import (
    WAYS,
    Collection,
    Kept,
    Way,
    by_bm25,
    dl19,
    lacking,
    simulate,
)
from benchmarks.tables import replace_part, table
from rankprompt.datasets.sample import sample
from rankprompt.eval.figures import to_svg
from rankprompt.eval.plots import draw_costs
from rankprompt.files import write_atomically

REPORT = Path("docs/results/methods.md")
KEPT = Path(".benchmarks/rankers.jsonl")
JUDGES = ("perfect", "flip=0.1", "flip=0.2", "flip=0.3", "gap", "gap,bias=0.2", "circle=0.2")
PLOTTED = ("flip=0.2", "gap", "gap,bias=0.2")
WRITER = "benchmarks/rankers.py"


def seeds(collection: Collection, judge: str, kept: Kept) -> list[int]:
    """The seeds for which every way is kept."""
    of = range(collection.seeds)
    return [one for one in of if next(lacking(collection, judge, one, kept), None) is None]


def values(collection: Collection, judge: str, way: Way, kept: Kept) -> list[dict[str, Any]]:
    """What is kept of a way before a judge, a seed each."""
    return [
        kept.found[collection.name, judge, str(way), seed]
        for seed in seeds(collection, judge, kept)
        if way.faces(judge)
    ]


def rows(collection: Collection, judges: Sequence[str], kept: Kept) -> Iterator[list[str]]:
    """A row a way: prompts a query, the most rounds, nDCG@10 with its deviation by judge."""
    for way in WAYS:
        of = {judge: values(collection, judge, way, kept) for judge in judges}
        every = [one for found in of.values() for one in found]
        cells = []
        for found in of.values():
            reached = [one["ndcg"] for one in found]
            spread = f" ± {pstdev(reached):.3f}" if len(reached) > 1 else ""
            cells.append(f"{fmean(reached):.3f}{spread}" if reached else "-")
        prompts = fmean(one["prompts"] for one in every)
        yield [f"`{way}`", f"{prompts:,.0f}", f"{max(one['rounds'] for one in every):,}", *cells]


def plot(collection: Collection, judge: str, kept: Kept) -> str:
    """Draws quality against prompts; gives the line that shows it."""
    points = {}
    for way in WAYS:
        found = values(collection, judge, way, kept)
        if not found:
            continue
        budget = f" {way.comparisons}" if way.comparisons else ""
        points[f"{way.method}{budget}{f', {way.order}' if way.order else ''}"] = (
            fmean(one["prompts"] for one in found), fmean(one["ndcg"] for one in found)
        )  # fmt: skip
    means = {"BM25": collection.first_stage} | {name: value for name, (_, value) in points.items()}
    figure = draw_costs(points, means, "prompts a query", f"nDCG@10, {judge}")
    name = f"rankers-{judge.replace('=', '').replace(',', '-').replace('.', '')}.svg"
    write_atomically(REPORT.parent / name, to_svg(figure))
    return f"![{collection.name}, {judge}: nDCG@10 against prompts a query]({name})"


def report(collections: Sequence[Collection], judges: Sequence[str], kept: Kept) -> str:
    parts = []
    for one in collections:
        count = {judge: len(seeds(one, judge, kept)) for judge in judges}
        done = [judge for judge in judges if count[judge]]
        if done:
            found = table(["method", "prompts", "rounds", *done], list(rows(one, done, kept)))
            counts = ", ".join(f"{judge} {count[judge]}" for judge in done if judge != "perfect")
            parts.append(
                f"### {one.name}\n\n{len(one.candidates)} queries; BM25 itself has "
                f"{one.first_stage:.3f}. Seeds: {counts}.\n\n{found}\n"
            )
            if one is collections[0]:
                parts += [plot(one, judge, kept) + "\n" for judge in PLOTTED if judge in done]
    return "\n".join(parts)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seeds", type=int, default=20, help="of the judges' errors, on DL19")
    parser.add_argument("--other-seeds", type=int, default=5, help="on the other collections")
    parser.add_argument(
        "--report", action="store_true", help="write the report of what is kept, and no more"
    )
    parser.add_argument("--fitted", action="append", default=[], help="a judge model to add")
    given = parser.parse_args(arguments)
    if not given.data.is_dir():
        sys.exit(f"{given.data} is absent; give the collections' folder with --data")
    judges, kept = [*JUDGES, *given.fitted], Kept(KEPT)
    collections = [
        dl19(given.data, given.seeds),
        by_bm25("TIME", given.data / "time", given.other_seeds),
        by_bm25("Sample", sample("en"), given.other_seeds),
    ]
    if not given.report:
        simulate(collections, judges, kept)
    made = (
        f"Made by `make bench-rankers` on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores, "
        f"Python {platform.python_version()}."
    )
    text = f"{report(collections, judges, kept)}\n{made}\n"
    print(text)
    replace_part(REPORT, WRITER, text)


if __name__ == "__main__":
    main()
