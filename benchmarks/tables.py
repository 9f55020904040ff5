"""Tables and paired significance tests for the benchmarks' reports."""

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy import stats


def paired(values: Mapping[str, float], baseline: Mapping[str, float]) -> list[str]:
    """Returns the mean over all queries and both halves, and paired tests against the baseline."""
    scores = np.array([values[query] for query in baseline])
    before = np.array(list(baseline.values()))
    halves = [f"{scores.mean():.4f}", f"{scores[0::2].mean():.4f}", f"{scores[1::2].mean():.4f}"]
    if (scores == before).all():
        return [*halves, "", "", ""]
    t = stats.ttest_rel(scores, before).pvalue
    # Fisher's randomisation test by random sign flips; the +1 counts what was observed.
    signs = np.random.default_rng(0).choice([-1, 1], size=(100_000, len(scores)))
    permuted = np.abs((signs * (scores - before)).mean(1))
    p = (1 + (permuted >= abs((scores - before).mean()) - 1e-12).sum()) / (1 + len(permuted))
    wins, losses = (scores > before).sum(), (scores < before).sum()
    return [*halves, f"{wins}/{len(scores) - wins - losses}/{losses}", *map(_small, (t, p))]


def _small(p: float) -> str:
    return f"{p:.4f}" if p >= 0.0001 else "<0.0001"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def replace_part(page: Path, writer: str, text: str) -> None:
    """Replaces the text between a page's two marks of its writer; a page without them stays."""
    begin, end = f"<!-- {writer} writes from here -->", f"<!-- {writer} writes to here -->"
    whole = page.read_text() if page.exists() else ""
    if text and begin in whole:
        before, after = whole.split(begin)[0], whole.split(end)[1]
        page.write_text(f"{before}{begin}\n\n{text}\n{end}{after}")


def note(what: str, started: float, tokens: int) -> None:
    seconds = time.perf_counter() - started
    print(f"{what} ({seconds:.0f} s, {tokens:,} new tokens)", file=sys.stderr, flush=True)
