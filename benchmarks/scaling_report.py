"""The report of benchmarks/scaling.py: tables, growth, plots."""

import os
import platform
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.engine import Outcome
from benchmarks.flops import ROWS, SQUARE, Products
from benchmarks.plots import Panel, draw_lines
from benchmarks.tables import table
from rankprompt.files import write_atomically

MARK = "<!-- tables -->\n"
HEAD = f"""\
# The local engine in depth, queries and passage length

{MARK}"""
FIELDS = {"depth": "depth", "queries": "queries", "passage_tokens": "tokens a passage"}


class Point(NamedTuple):
    """A size to measure; ``exact`` passages are filled up to just so many tokens, not only cut."""

    queries: int
    depth: int
    passage_tokens: int
    exact: bool = False


class Sweep(NamedTuple):
    """Sizes that differ in one field; ``naive`` are those where the naive engine is run, too."""

    over: str
    points: list[Point]
    naive: list[Point]


class Measured(NamedTuple):
    """What a series cost at a point."""

    series: str
    point: Point
    outcome: Outcome
    flops: int

    @property
    def speed(self) -> float:
        """Tokens a second."""
        return self.outcome.tokens / self.outcome.seconds


class Report(NamedTuple):
    """All that was measured.

    ``formula`` is a forward's arithmetic; ``machine`` holds the matrix products before and after.
    """

    sweeps: Sequence[Sweep]
    measured: Sequence[Measured]
    machine: Sequence[Products]
    formula: str
    dtype: str

    def write(self, folder: Path) -> str:
        """Writes scaling.md, whose head is kept, and its plots; gives the tables."""
        self._draw(folder)
        text = self._text()
        path = folder / "scaling.md"
        head = path.read_text("utf-8").partition(MARK)[0] + MARK if path.exists() else HEAD
        write_atomically(path, f"{head}\n{text}")
        return text

    def _lines(self, sweep: Sweep) -> dict[str, list[Measured]]:
        """The sweep's measurements by series, ascending."""
        found: dict[str, list[Measured]] = {}
        for point in sweep.points:
            for one in self.measured:
                if one.point == point:
                    found.setdefault(one.series, []).append(one)
        return found

    def _draw(self, folder: Path) -> None:
        lines = {sweep.over: self._lines(sweep) for sweep in self.sweeps}

        def panel(title: str, over: str, value: Callable[[Measured], float]) -> Panel:
            points = {
                series: [(getattr(one.point, over), value(one)) for one in found]
                for series, found in lines[over].items()
            }
            return Panel(title, FIELDS[over], points)

        draw_lines(
            folder / "scaling-depth.svg",
            [
                panel("tokens computed", "depth", lambda one: one.outcome.tokens),
                panel("seconds", "depth", lambda one: one.outcome.seconds),
            ],
            log=True,
        )
        draw_lines(
            folder / "scaling-speed.svg",
            [panel("tokens a second", over, lambda one: one.speed) for over in lines],
            log=False,
        )

    def _text(self) -> str:
        depth, queries, lengths = (self._table(sweep) for sweep in self.sweeps)
        a, _, c = (sweep.points[0] for sweep in self.sweeps)
        b = self.sweeps[1].points[0]
        return f"""\
![Tokens and seconds by depth, both axes logarithmic](scaling-depth.svg)

## Depth

{_queries(a)}, passages of {a.passage_tokens} tokens at the most.

{depth}

## Queries

Depth {b.depth}, passages of {b.passage_tokens} tokens at the most.

{queries}

## Passage length

{_queries(c)}, depth {c.depth}. Most passages end before 128 tokens; here each goes on with
others that are not ranked, up to just so many tokens.

{lengths}

![Tokens a second by depth, queries and passage length](scaling-speed.svg)

## Growth

Slopes of the logarithms' least-squares line: tokens (or seconds) grow as size to this power.

{table(["", "points", "sizes", "tokens", "seconds"], list(self._slopes()))}

## The naive engine to ours

{self._equal()}

{table(["", "prompts", "tokens", "seconds"], list(self._ratios()))}

## This machine's matrix product

{self._machine()}

## How it was counted

`heapsort` is the published prompt `prp` with the top 10 sorted, `default` all pairs by
`query-likelihood-demonstrations`, which reads each passage once; `naive` is the engine of
[engine.md](engine.md). Tokens are those that went through the model, as the engine counts them and
as a hook in the model saw them, which must be the same; reused are those that were not run again;
padding comes on top. Nothing is kept from one line to the next. Prompts, tokens, reused, padding
and GFLOP depend on no machine, seconds and what is divided by them do. Seconds are of one run each.

{self.formula}

Made by `make bench-scaling` on {datetime.now(UTC):%Y-%m-%d}: {self.dtype},
{torch.get_num_threads()} threads of {os.cpu_count()} cores, torch {torch.__version__}, Python
{platform.python_version()}.
"""

    @property
    def _best(self) -> Products:
        return Products(*map(max, zip(*self.machine, strict=True)))

    def _table(self, sweep: Sweep) -> str:
        rows = []
        for series, found in self._lines(sweep).items():
            for _, point, cost, flops in found:
                speed = flops / cost.seconds
                rows.append(
                    [
                        series, str(getattr(point, sweep.over)), f"{cost.prompts:,}",
                        f"{cost.tokens:,}", f"{cost.reused:,}", f"{cost.padding:,}",
                        f"{cost.seconds:.1f}", f"{cost.tokens / cost.seconds:,.0f}",
                        f"{flops / 1e9:,.0f}", f"{speed / 1e9:.0f}",
                        *(f"{speed / own:.0%}" for own in self._best),
                    ]
                )  # fmt: skip
        columns = [
            "", FIELDS[sweep.over], "prompts", "tokens", "reused", "padding", "seconds",
            "tokens/s", "GFLOP", "GFLOP/s", "of its shapes' product", "of a square product",
        ]  # fmt: skip
        return table(columns, rows)

    def _slopes(self) -> Iterator[list[str]]:
        for sweep in self.sweeps:
            for series, found in self._lines(sweep).items():
                sizes = [getattr(one.point, sweep.over) for one in found]
                if len(sizes) < 2:
                    continue
                tokens = _slope(sizes, [one.outcome.tokens for one in found])
                seconds = _slope(sizes, [one.outcome.seconds for one in found])
                name = f"{series}, in {FIELDS[sweep.over]}"
                yield [
                    name, str(len(sizes)), f"{sizes[0]} to {sizes[-1]}", f"{tokens:.2f}",
                    f"{seconds:.2f}",
                ]  # fmt: skip

    def _pairs(self) -> list[tuple[Point, Outcome, Outcome]]:
        """Ours and the naive engine's, at each point that both have."""
        ours = {one.point: one.outcome for one in self.measured if one.series == "heapsort"}
        return [
            (one.point, ours[one.point], one.outcome)
            for one in self.measured
            if one.series == "heapsort, naive"
        ]

    def _equal(self) -> str:
        same = [ours.rankings == naive.rankings for _, ours, naive in self._pairs()]
        return (
            "How many times as much the naive engine takes with heapsort; rankings are equal at "
            f"{sum(same)} of {len(same)} sizes."
        )

    def _ratios(self) -> Iterator[list[str]]:
        for point, ours, naive in self._pairs():
            yield [
                f"{_queries(point)}, depth {point.depth}, {point.passage_tokens} tokens"
                f"{' exactly' if point.exact else ''}",
                f"{naive.prompts / ours.prompts:.2f}",
                f"{naive.tokens / ours.tokens:.2f}",
                f"{naive.seconds / ours.seconds:.2f}",
            ]

    def _machine(self) -> str:
        before, after = self.machine
        rows = [
            [name, f"{one / 1e9:.0f}", f"{other / 1e9:.0f}"]
            for name, one, other in zip(
                (
                    f"{ROWS:,} rows through the weights of all its linear layers",
                    f"a matrix of {SQUARE:,} x {SQUARE:,} with one of its size",
                ),
                before,
                after,
                strict=True,
            )
        ]
        return (
            "Products alone, with weights laid out as the engine has them, GFLOP/s, the best of "
            "several, before\nall else was measured and after. The shares above are of the better "
            "of the two.\n\n" + table(["", "before", "after"], rows)
        )


def _queries(point: Point) -> str:
    return f"{point.queries} {'query' if point.queries == 1 else 'queries'}"


def _slope(sizes: Sequence[float], values: Sequence[float]) -> float:
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])
