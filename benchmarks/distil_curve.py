"""How many of a teacher's pairs does a head need, and does it matter which? docs/distil.md.

The queries of TREC DL 2019 are split in halves by a seed, as in ``benchmarks.distil``. The embedded
cross-encoder teaches by a share of all pairs of the first 20 or 100 candidates of one half, drawn
at random or asked by a Bradley-Terry tournament; heads rank the first 20 of the other half.
The student reads each passage once, for all seeds and shares. States and answers stay in the output
folder. Run with OMP_NUM_THREADS=1.
"""

import argparse
import platform
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from math import comb
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from matplotlib import rc_context
from matplotlib.figure import Figure

from benchmarks.distil import TEACHER, pairs_right
from benchmarks.tables import replace_part, table
from rankprompt.distil.config import DistilConfig
from rankprompt.distil.doubt import ask_in_doubt
from rankprompt.distil.head_training import IndexedPairs, fit_head
from rankprompt.distil.job import candidates_of, teacher_job
from rankprompt.distil.pairs import ask_teacher
from rankprompt.distil.states import Student, check_student
from rankprompt.eval import ndcg_at_10
from rankprompt.eval.figures import COLOURS, GREY, MARKERS, STYLE, to_svg
from rankprompt.files import read_qrels
from rankprompt.files.cache_directory import cache_dir
from rankprompt.pipeline.config import RerankConfig
from rankprompt.pipeline.config_keywords import config_from_options
from rankprompt.rankers.seeded_random import uniform
from rankprompt.types import Candidates

SHARES = {20: (1, 2, 5, 10, 20, 100), 100: (0.1, 0.2, 0.5, 1, 2, 5, 20)}
"""Per cent of all pairs, by the depth of the candidates to learn from."""
SEEDS = (0, 1, 2)
UNSEEN = 20  # candidates to rank
READ = max(SHARES)
PAGE = Path("docs/distil.md")
PLOT = Path("docs/distil-curve.svg")
WRITER = "benchmarks/distil_curve.py"

Array: TypeAlias = npt.NDArray[np.float32]


class Found(NamedTuple):
    """How heads rank the unseen half, by seed."""

    pairs: list[int]
    right: list[float]
    ndcg: list[float]


def read_states(config: DistilConfig, every: Sequence[Candidates], folder: Path) -> Array:
    """The states of all passages, in the order of the candidates; read once."""
    path = folder / "states.npy"
    if not path.exists():
        student = Student(config.student, check_student(config.student, config.prompt))
        started = time.monotonic()
        states = student.states([(query, one) for query, docs, _ in every for one in docs])
        print(f"{student.tokens:,} tokens read in {time.monotonic() - started:.0f} s", flush=True)
        np.save(path, states)
    return np.asarray(np.load(path))


def draw(found: dict[tuple[int, str], dict[float, Found]], levels: dict[str, Found]) -> str:
    with rc_context(STYLE):
        figure = Figure(figsize=(8.4, 3.8), layout="constrained")
        panels = figure.subplots(1, 2)
        titles = ("judged pairs right", "nDCG@10")
        for place, (axes, title) in enumerate(zip(panels, titles, strict=True), 1):
            for number, ((depth, choose), shares) in enumerate(found.items()):
                numbers = [np.mean(one.pairs) for one in shares.values()]
                values = np.array([one[place] for one in shares.values()])
                look: dict[str, Any] = {"color": COLOURS[number]}
                axes.fill_between(
                    numbers, values.min(1), values.max(1), alpha=0.12, linewidth=0, **look
                )
                axes.plot(
                    numbers, values.mean(1), label=f"{choose}, of {depth}",
                    marker=MARKERS[number], ms=5, lw=1.8, **look,
                )  # fmt: skip
            for dashes, (label, level) in zip(("--", ":"), levels.items(), strict=True):
                axes.axhline(np.mean(level[place]), color=GREY, lw=1, ls=dashes, label=label)
            axes.set(xscale="log", xlabel="pairs learnt from", ylabel=title)
        return to_svg(figure, panels)


def spread(values: Sequence[float]) -> str:
    return f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


class Half:
    """A collection of which one half is learnt from, by a seed."""

    def __init__(self, given: argparse.Namespace, seed: int) -> None:
        options = {
            "run": given.collection / "run.bm25.trec",
            "queries": given.collection / "queries.tsv",
            "docs": given.collection / "docs.jsonl",
            "depth": READ,
            "model": TEACHER,
            "seed": seed,
        }
        teacher = config_from_options(RerankConfig(), options)
        config = DistilConfig(given.output / "student", teacher)
        self.job, self.seed = teacher_job(config), seed
        self.every = candidates_of(self.job)
        self.states = read_states(config, self.every, given.output)
        self.keys = [(query.id, one.id) for query, docs, _ in self.every for one in docs]
        self.places = {key: place for place, key in enumerate(self.keys)}
        ordered = sorted(self.every, key=lambda one: uniform(seed, "half", one.query.id))
        learnt = {one.query.id for one in ordered[: len(ordered) // 2]}
        self.learn = [one for one in self.every if one.query.id in learnt]
        self.unseen = [one for one in self.every if one.query.id not in learnt]
        self.qrels = read_qrels(given.collection / "qrels.trec")

    def measure(self, scores: npt.NDArray[Any]) -> tuple[float, float]:
        """Judged pairs right and nDCG@10 of the unseen half; ``scores`` are of all passages."""
        run = {
            query.id: dict(
                sorted(
                    ((one.id, float(scores[self.places[query.id, one.id]]))
                     for one in documents[:UNSEEN]),
                    key=lambda item: -item[1],
                )
            )
            for query, documents, _ in self.unseen
        }  # fmt: skip
        judged = {query: self.qrels[query] for query in run}
        return pairs_right(run, judged)[0], ndcg_at_10(judged)(run)

    def teach(self, depth: int, share: float, choose: str) -> tuple[int, float, float]:
        """How many pairs there were, and what ``measure`` gives for the head."""
        learn = [
            Candidates(query, documents[:depth], scores[:depth])
            for query, documents, scores in self.learn
        ]
        total = sum(comb(len(one.documents), 2) for one in learn)
        ask = ask_in_doubt if choose == "doubt" else ask_teacher
        taught = [
            one for one in ask(self.job, learn, round(total * share / 100)) if one.preference != 0.5
        ]
        first = [self.places[query.id, one.id] for (query, one, _), _ in taught]
        second = [self.places[query.id, one.id] for (query, _, one), _ in taught]
        used = np.unique([first, second])
        pairs = IndexedPairs(
            np.searchsorted(used, first),
            np.searchsorted(used, second),
            np.array([preference for _, preference in taught]),
        )
        queries = np.unique([self.keys[place][0] for place in used], return_inverse=True)[1]
        head = fit_head(self.states[used], pairs, queries, self.seed)
        right, ndcg = self.measure(self.states @ head.weight)
        print(
            f"seed {self.seed}, {share}% of depth {depth}, {choose}: {len(taught)} pairs, penalty "
            f"{head.penalty:g}, {head.right:.3f} in validation, {right:.3f} right, nDCG@10 "
            f"{ndcg:.3f}",
            flush=True,
        )
        return len(taught), right, ndcg

    def teacher(self) -> tuple[float, float]:
        """What ``measure`` gives for the teacher's own order."""
        wins = np.zeros(len(self.keys))
        # All pairs of a reranker are differences of scores, so the sums give its order.
        shown = [
            Candidates(query, documents[:UNSEEN], scores[:UNSEEN])
            for query, documents, scores in self.unseen
        ]
        for (query, first, second), preference in ask_teacher(self.job, shown, 10**9):
            wins[self.places[query.id, first.id]] += preference
            wins[self.places[query.id, second.id]] += 1 - preference
        return self.measure(wins)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--collection", type=Path, default=Path("../shared/data/dl19"))
    parser.add_argument("--output", type=Path, default=cache_dir("benchmarks", "distil-curve"))
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    found: dict[tuple[int, str], dict[float, Found]] = {}
    levels = {"BM25": Found([], [], []), "teacher": Found([], [], [])}

    def add(one: Found, pairs: int, right: float, ndcg: float) -> None:
        one.pairs.append(pairs)
        one.right.append(right)
        one.ndcg.append(ndcg)

    for seed in SEEDS:
        half = Half(given, seed)
        add(levels["BM25"], 0, *half.measure(-np.arange(len(half.keys))))
        add(levels["teacher"], 0, *half.teacher())
        for depth, shares in SHARES.items():
            for share in shares:
                # Of all pairs there is nothing to choose.
                for choose in ("random", "doubt")[: 1 if share == 100 else 2]:
                    of = found.setdefault((depth, choose), {})
                    one = of.setdefault(share, Found([], [], []))
                    add(one, *half.teach(depth, share, choose))
    rows = [
        [
            str(depth), f"{share}%", choose, f"{np.mean(one.pairs):,.0f}", spread(one.right),
            spread(one.ndcg),
        ]
        for depth, shares in SHARES.items()
        for share in shares
        for choose in ("random", "doubt")
        for one in [found[depth, choose].get(share)]
        if one
    ]  # fmt: skip
    rows += [
        [name, "", "", "", spread(one.right), spread(one.ndcg)] for name, one in levels.items()
    ]
    columns = ["depth", "share", "chosen", "pairs", "judged pairs right", "nDCG@10"]
    text = (
        f"`make bench-distil-curve`, {datetime.now(UTC):%Y-%m-%d}, one core of "
        f"{platform.machine()}; mean and range of seeds "
        f"{', '.join(map(str, SEEDS))}.\n\n{table(columns, rows)}\n\n"
        f"![Judged pairs right and nDCG@10 by the number of pairs](distil-curve.svg)\n"
    )
    print(text)
    PLOT.write_text(draw(found, levels))
    replace_part(PAGE, WRITER, text)


if __name__ == "__main__":
    main()
