"""What the benchmarks' reports share: tables, and tests of paired values."""

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy import stats

from rankprompt.files import write_atomically


def paired(values: Mapping[str, float], baseline: Mapping[str, float]) -> list[str]:
    """Mean on all queries, on both halves, and the paired tests against the baseline."""
    found = np.array([values[query] for query in baseline])
    before = np.array(list(baseline.values()))
    halves = [f"{found.mean():.4f}", f"{found[0::2].mean():.4f}", f"{found[1::2].mean():.4f}"]
    if (found == before).all():
        return [*halves, "", "", ""]
    t = stats.ttest_rel(found, before).pvalue
    # Fisher's randomisation test by random sign flips; the +1 counts what was observed.
    signs = np.random.default_rng(0).choice([-1, 1], size=(100_000, len(found)))
    moved = np.abs((signs * (found - before)).mean(1))
    p = (1 + (moved >= abs((found - before).mean()) - 1e-12).sum()) / (1 + len(moved))
    wins, losses = (found > before).sum(), (found < before).sum()
    return [*halves, f"{wins}/{len(found) - wins - losses}/{losses}", *map(_small, (t, p))]


def _small(p: float) -> str:
    return f"{p:.4f}" if p >= 0.0001 else "<0.0001"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def replace_part(page: Path, writer: str, text: str) -> None:
    """Puts a text between a page's two marks of its writer; other pages stay as they are."""
    begin, end = f"<!-- {writer} writes from here -->", f"<!-- {writer} writes to here -->"
    whole = page.read_text() if page.exists() else ""
    if text and begin in whole:
        before, after = whole.split(begin)[0], whole.split(end)[1]
        page.write_text(f"{before}{begin}\n\n{text}\n{end}{after}")


def write_filled(page: Path, text: str, values: Mapping[str, str]) -> None:
    """Puts values into a page's {names}, prints the page and writes it."""
    for name, value in values.items():
        text = text.replace("{" + name + "}", value)
    print(text)
    write_atomically(page, text)


def note(what: str, started: float, tokens: int) -> None:
    seconds = time.perf_counter() - started
    print(f"{what} ({seconds:.0f} s, {tokens:,} new tokens)", file=sys.stderr, flush=True)
