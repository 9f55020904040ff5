"""How many of a teacher's pairs does a head need, and does it matter which? docs/distil.md.

The queries of TREC DL 2019 are split in halves by a seed, as in ``benchmarks.distil``. The embedded
cross-encoder teaches by a share of all pairs of BM25's first 20 candidates of one half, drawn at
random or asked by a Bradley-Terry tournament; heads rank the first 20 candidates of the other half.
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
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

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
from rankprompt.types import Candidates, Qrels, Run

SHARES = (1, 2, 5, 10, 20, 100)  # per cent of all pairs
SEEDS = (0, 1, 2)
DEPTH = 20
PAGE = Path("docs/distil.md")
PLOT = Path("docs/distil-curve.svg")
WRITER = "make bench-distil-curve"


class Found(NamedTuple):
    """How a head ranks the unseen half, by seed."""

    pairs: list[int]
    right: list[float]
    ndcg: list[float]


def measure(run: Run, qrels: Qrels) -> tuple[float, float]:
    judged = {query: qrels[query] for query in run}
    return pairs_right(run, judged)[0], ndcg_at_10(judged)(run)


def read_states(config: DistilConfig, every: Sequence[Candidates], folder: Path) -> npt.NDArray:
    """The states of all passages, in the order of the candidates; read once."""
    path = folder / "states.npy"
    if not path.exists():
        student = Student(config.student, check_student(config.student, config.prompt))
        started = time.monotonic()
        states = student.states([(query, one) for query, docs, _ in every for one in docs])
        print(f"{student.tokens:,} tokens read in {time.monotonic() - started:.0f} s", flush=True)
        np.save(path, states)
    return np.load(path)


def draw(found: dict[str, dict[int, Found]], levels: dict[str, tuple[float, float]]) -> str:
    with rc_context(STYLE):
        figure = Figure(figsize=(8.4, 3.6), layout="constrained")
        panels = figure.subplots(1, 2)
        for place, (axes, name) in enumerate(zip(panels, ("judged pairs right", "nDCG@10"),
                                                 strict=True)):  # fmt: skip
            for number, (choose, shares) in enumerate(found.items()):
                values = np.array([one[1 + place] for one in shares.values()])
                axes.fill_between(list(shares), values.min(1), values.max(1),
                                  color=COLOURS[number], alpha=0.15, linewidth=0)  # fmt: skip
                axes.plot(list(shares), values.mean(1), label=choose, color=COLOURS[number],
                          marker=MARKERS[number], ms=5, lw=1.8)  # fmt: skip
            for dashes, (label, level) in zip(("--", ":"), levels.items(), strict=True):
                axes.axhline(level[place], color=GREY, lw=1, ls=dashes, label=label)
            axes.set(xscale="log", xlabel="pairs learnt from, % of all", ylabel=name)
            axes.set_xticks(SHARES, [f"{share:g}" for share in SHARES])
            axes.xaxis.set_minor_locator(NullLocator())
        return to_svg(figure, panels)


def spread(values: Sequence[float]) -> str:
    return f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--collection", type=Path, default=Path("../shared/data/dl19"))
    parser.add_argument("--output", type=Path, default=cache_dir("benchmarks", "distil-curve"))
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    options = {
        "run": given.collection / "run.bm25.trec",
        "queries": given.collection / "queries.tsv",
        "docs": given.collection / "docs.jsonl",
        "depth": DEPTH,
        "model": TEACHER,
    }
    qrels = read_qrels(given.collection / "qrels.trec")
    found: dict[str, dict[int, Found]] = {"random": {}, "doubt": {}}
    levels: dict[str, list[tuple[float, float]]] = {"BM25": [], "teacher": []}
    for seed in SEEDS:
        teacher = config_from_options(RerankConfig(), {**options, "seed": seed})
        config = DistilConfig(given.output / "student", teacher)
        job = teacher_job(config)
        every = candidates_of(job)
        states = read_states(config, every, given.output)
        keys = [(query.id, one.id) for query, docs, _ in every for one in docs]
        places = {key: place for place, key in enumerate(keys)}
        ordered = sorted(every, key=lambda one: uniform(seed, "half", one.query.id))
        half = ordered[: len(ordered) // 2]
        learn = [one for one in every if one in half]
        unseen = [one.query.id for one in every if one not in half]
        numbers = {one.query.id: number for number, one in enumerate(learn)}

        def ranked(scores: npt.NDArray, unseen: list[str] = unseen, keys: list = keys) -> Run:
            run: Run = {query: {} for query in unseen}
            for (query, document), score in zip(keys, scores, strict=True):
                if query in run:
                    run[query][document] = float(score)
            return {
                query: dict(sorted(one.items(), key=lambda item: -item[1]))
                for query, one in run.items()
            }

        levels["BM25"].append(measure(ranked(-np.arange(len(keys))), qrels))
        # All pairs of a reranker are differences of its scores, so one passage's tell the order.
        wins = np.zeros(len(keys))
        for (query, first, second), preference in ask_teacher(job, every, 10**9):
            wins[places[query.id, first.id]] += preference
            wins[places[query.id, second.id]] += 1 - preference
        levels["teacher"].append(measure(ranked(wins), qrels))
        total = sum(comb(len(one.documents), 2) for one in learn)
        for share in SHARES:
            for choose, shares in found.items():
                if choose == "doubt" and share == SHARES[-1]:
                    continue  # There is nothing to choose.
                ask = ask_in_doubt if choose == "doubt" else ask_teacher
                taught = [
                    one for one in ask(job, learn, round(total * share / 100))
                    if one.preference != 0.5
                ]  # fmt: skip
                first, second, preference = zip(
                    *(
                        (places[query.id, one.id], places[query.id, other.id], preference)
                        for (query, one, other), preference in taught
                    ),
                    strict=True,
                )
                used = np.unique([first, second])
                pairs = IndexedPairs(
                    np.searchsorted(used, first),
                    np.searchsorted(used, second),
                    np.array(preference),
                )
                queries = np.array([numbers[keys[place][0]] for place in used])
                # Queries without a pair have no number.
                queries = np.unique(queries, return_inverse=True)[1]
                head = fit_head(states[used], pairs, queries, seed)
                right, ndcg = measure(ranked(states @ head.weight), qrels)
                one = shares.setdefault(share, Found([], [], []))
                one.pairs.append(len(taught)), one.right.append(right), one.ndcg.append(ndcg)
                print(
                    f"seed {seed}, {share}%, {choose}: {len(taught)} pairs, penalty "
                    f"{head.penalty:g}, {head.right:.3f} in validation, {right:.3f} right, "
                    f"nDCG@10 {ndcg:.3f}",
                    flush=True,
                )
    rows = [
        [f"{share}%", choose, f"{np.mean(one.pairs):,.0f}", spread(one.right), spread(one.ndcg)]
        for share in SHARES
        for choose, shares in found.items()
        if (one := shares.get(share))
    ]
    rows += [
        [name, "", "", *(spread(column) for column in zip(*values, strict=True))]
        for name, values in levels.items()
    ]
    text = (
        f"`{WRITER}`, {datetime.now(UTC):%Y-%m-%d}, one core of {platform.machine()}, "
        f"{time.monotonic() - started:.0f} s; mean and range of seeds "
        f"{', '.join(map(str, SEEDS))}.\n\n"
        + table(["share", "chosen", "pairs", "judged pairs right", "nDCG@10"], rows)
        + f"\n\n![Judged pairs right and nDCG@10 by the share of pairs]({PLOT.name})\n"
    )
    print(text)
    means = {name: tuple(map(float, np.mean(each, 0))) for name, each in levels.items()}
    PLOT.write_text(draw(found, means))  # type: ignore[arg-type]
    replace_part(PAGE, WRITER, text)


if __name__ == "__main__":
    main()
