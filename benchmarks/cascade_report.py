"""Writes the page and plots of the measurements of ``benchmarks.cascade``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.tables import replace_part, table
from rankprompt.cascade.cascade import percentile
from rankprompt.cascade.report_files import draw_lines
from rankprompt.files import write_atomically

REPORT, QUALITY, COST = (Path("docs/results") / name for name in
                         ("cascade.md", "cascade-quality.svg", "cascade-cost.svg"))  # fmt: skip
WRITER = "benchmarks/cascade.py"
NAMES = ("bm25", "encoder", "first", "random")
KEEP = (1, 2, 3, 4, 6, 8)
AT, MORE = 4, 6
SHARE, QUARTER = 0.99, 0.25
WORDS = (250, 500, 1000, 2000, 5000)
Lines = Mapping[str, Sequence[tuple[float, float]]]


def write(figures: Mapping[str, Any]) -> str:
    """Writes the tables and the plots of the results page; returns the tables."""
    quality, times = figures["quality"]["max"], figures["milliseconds"]
    by_keep = {name: [(k, mean(quality, name, k)) for k in KEEP] for name in NAMES}
    every = quality["all"]
    by_time = {"all windows": [(percentile(times["all windows"], 95) / 1000, every)]}
    for variant in times:
        name, _, keep = variant.partition(", k=")
        if keep:
            point = percentile(times[variant], 95) / 1000, mean(quality, name, int(keep))
            by_time.setdefault(name, []).append(point)
    panels: list[tuple[str, Lines]] = [
        ("k, windows a document", by_keep),
        ("p95, seconds a query", by_time),
    ]
    write_atomically(QUALITY, draw_lines(panels, "nDCG@10", level=every))
    curve = {
        name: [(words, percentile(values, 50) / 1000)
               for words, values in zip(WORDS, found, strict=False)]
        for name, found in figures["curve"].items()
    }  # fmt: skip
    drawn = draw_lines([("words a document", curve)], "median, seconds a query", level=None)
    write_atomically(COST, drawn)
    page = report(figures)
    replace_part(REPORT, WRITER, page)
    return page


def mean(values: Mapping[str, float], name: str, keep: int) -> float:
    """Returns a student's value at k; for the random student, the mean over its seeds."""
    by_seed = [values[one] for one in values
               if one.startswith(name) and one.endswith(f" {keep}")]  # fmt: skip
    return sum(by_seed) / len(by_seed)


def report(figures: Mapping[str, Any]) -> str:
    quality, every = figures["quality"], figures["quality"]["max"]["all"]
    return f"""\
TIME: {figures["queries"]} queries with judgements, BM25's top 20 documents each, \
{figures["windows"]:,} windows
({figures["median windows"]} in the median document, {figures["most windows"]} at the most). \
Windows have 50 tokens
and 7 of overlap on each side; documents are read up to 2,000 tokens. The teacher is
ms-marco-MiniLM-L-12-v2 (int8, ONNX, one window at a time); a document's score is that of its best
window (`max`) or the mean of its best 3 (`mean:3`). BM25 over whole documents, the candidates' own
order, has nDCG@10 {figures["bm25 alone"]:.4f}; the teacher over all windows {every:.4f} with `max`.

{verdict(figures)}

### Quality against k

nDCG@10; in brackets the share of what all windows give. `random` is the mean of 10 seeds. With the
best window's score (`max`):

{table(["student", *(f"k={k}" for k in KEEP), "all"], quality_rows(quality["max"]))}

With the mean of the best 3 windows (`mean:3`, the default):

{table(["student", *(f"k={k}" for k in KEEP), "all"], quality_rows(quality["mean:3"]))}

![nDCG@10 against k, and against latency](cascade-quality.svg)

How much of the teacher's own top k the student finds, over documents of more than k windows:

{table(["student", *(f"k={k}" for k in KEEP)], overlap_rows(figures["overlap"]))}

### Latency

Milliseconds a query, from texts to scores: cutting into windows, student, teacher. The variants were
timed query by query, one right after the other, each beginning in turn; the aggregation of a
document's windows takes no time to speak of. Other work on the machine (see the end) makes the
milliseconds larger, and touches all variants alike: so the shares say more than the milliseconds.

{
        table(
            [
                "variant",
                "p50",
                "p95",
                "p99",
                "p95 of all windows'",
                "nDCG@10",
                "teacher calls a query",
            ],
            latency_rows(figures),
        )
    }

The encoder is all-MiniLM-L6-v2 in float32, and reads every window at query time.

### Cost against length

Documents of so many words, cut from TIME's texts end to end and read to their ends (no limit of 2,000
tokens); 4 documents a query, 6 queries. Windows that the teacher reads, a query:

{table(["variant", *(f"{one:,} words" for one in WORDS)], calls_rows(figures["curve calls"]))}

Median milliseconds a query. What the cascade's row moves by, where the teacher reads as many windows,
is tokenising the whole text, the student, and the machine's other work:

{table(["variant", *(f"{one:,} words" for one in WORDS)], curve_rows(figures["curve"]))}

![Seconds a query against words a document](cascade-cost.svg)

Made by `python -m benchmarks.cascade` on {figures["made"]}: {figures["cores"]} cores, \
OMP_NUM_THREADS={figures["threads"]},
{figures["seconds"] / 60:.0f} minutes; mean load over the last 15 of them {
        figures["load"]:.1f}, of \
which this benchmark is 1.
"""  # noqa: E501


def verdict(figures: Mapping[str, Any]) -> str:
    """Summarises the tables in sentences."""
    lines = [claim(figures), default(figures)]
    lines.append(
        f"- Shares are of means over {figures['queries']} queries: tenths of a per cent say little."
    )
    longer = {
        name: percentile(found[-1], 50) / percentile(found[0], 50)
        for name, found in figures["curve"].items()
    }
    more = {name: found[-1] / found[0] for name, found in figures["curve calls"].items()}
    lines.append(
        f"- From {WORDS[0]:,} to {WORDS[-1]:,} words a document, the teacher reads "
        f"{more['bm25, k=4']:.1f} times as many windows with\n  the cascade and "
        f"{more['all windows']:.1f} times without; a query takes {longer['bm25, k=4']:.1f} and "
        f"{longer['all windows']:.1f} times as long."
    )
    return "\n".join(lines)


def claim(figures: Mapping[str, Any]) -> str:
    """Lists the students and aggregations for which the paper's claim holds or does not."""
    by_outcome: dict[bool, list[str]] = {True: [], False: []}
    for aggregate, quality in figures["quality"].items():
        for name in ("bm25", "encoder"):
            kept, time = mean(quality, name, AT) / quality["all"], p95_share(figures, name, AT)
            holds = kept >= SHARE and time <= QUARTER
            by_outcome[holds].append(f"`{name}` with `{aggregate}` ({kept:.1%} at {time:.0%})")
    return (
        f"- At k = {AT}, {SHARE:.0%} or more of all windows' nDCG@10 at {QUARTER:.0%} or less of "
        "their p95 latency:\n"
        f"  - holds for {', '.join(by_outcome[True]) or 'none'};\n"
        f"  - does not hold for {', '.join(by_outcome[False]) or 'none'}."
    )


def default(figures: Mapping[str, Any]) -> str:
    """Compares the two aggregations."""
    best, top = figures["quality"]["max"], figures["quality"]["mean:3"]
    one, other = mean(best, "bm25", AT), mean(top, "bm25", AT)
    more = mean(top, "bm25", MORE)
    better = other > one and top["all"] > best["all"]
    return (
        f"- `mean:3` has nDCG@10 {top['all']:.4f} over all windows and {other:.4f} with `bm25` at "
        f"k = {AT}, `max` {best['all']:.4f} and {one:.4f}"
        + (": so\n  `mean:3` is the default, though it keeps the smaller share" if better else "")
        + f".\n  It needs more of the windows: with `bm25` at k = {MORE} it keeps "
        f"{more / top['all']:.1%} ({more:.4f}), at {p95_share(figures, 'bm25', MORE):.0%} of the "
        "p95 latency."
    )


def p95_share(figures: Mapping[str, Any], name: str, keep: int) -> float:
    """Returns a variant's p95 latency as a share of that over all windows."""
    times = figures["milliseconds"]
    return percentile(times[f"{name}, k={keep}"], 95) / percentile(times["all windows"], 95)


def quality_rows(quality: Mapping[str, float]) -> list[list[str]]:
    every = quality["all"]
    rows = []
    for name in NAMES:
        values = [mean(quality, name, k) for k in KEEP]
        rows.append([name, *(f"{one:.4f} ({one / every:.1%})" for one in values), f"{every:.4f}"])
    return rows


def overlap_rows(overlap: Mapping[str, float]) -> list[list[str]]:
    return [[name, *(f"{mean(overlap, name, k):.1%}" for k in KEEP)] for name in NAMES]


def latency_rows(figures: Mapping[str, Any]) -> list[list[str]]:
    times, quality = figures["milliseconds"], figures["quality"]["max"]
    whole = percentile(times["all windows"], 95)
    rows = []
    for variant, values in times.items():
        name, _, keep = variant.partition(", k=")
        score = mean(quality, name, int(keep)) if keep else quality["all"]
        ranks = [percentile(values, rank) for rank in (50, 95, 99)]
        calls = figures["teacher calls"][variant] / figures["queries"]
        share = f"{ranks[1] / whole:.0%}"
        rows.append(
            [variant, *(f"{one:,.0f}" for one in ranks), share, f"{score:.4f}", f"{calls:,.0f}"]
        )
    return rows


def curve_rows(curve: Mapping[str, Sequence[Sequence[float]]]) -> list[list[str]]:
    return [[name, *(f"{percentile(one, 50):,.0f}" for one in found)]
            for name, found in curve.items()]  # fmt: skip


def calls_rows(calls: Mapping[str, Sequence[float]]) -> list[list[str]]:
    return [[name, *(f"{one:,.0f}" for one in found)] for name, found in calls.items()]
