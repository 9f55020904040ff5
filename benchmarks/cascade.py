"""What the cascade keeps of a teacher's quality, and what it saves: docs/cascade.md.

TIME's long documents (BM25's top 20), ms-marco-MiniLM-L-12-v2 (int8, ONNX) as the teacher. Run with
OMP_NUM_THREADS=1. ``--figures FILE`` keeps what was measured, so that the page can be made again.
"""

import argparse
import json
import os
import random
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.cascade_report import write
from benchmarks.tables import note
from rankprompt.cascade.aggregation import aggregate_by, best_places
from rankprompt.cascade.cascade import Cascade
from rankprompt.cascade.offsets import Offsets, model_offsets
from rankprompt.cascade.scores import Asked, Teacher, WindowScores
from rankprompt.cascade.students import RandomStudent, Student, load_student
from rankprompt.cascade.teachers.cross_encoder import find_reranker, load_cross_encoder
from rankprompt.cascade.windows import WindowSettings, cut_windows
from rankprompt.eval import parse_measures, score
from rankprompt.files import build_candidates, read_documents, read_qrels, read_queries
from rankprompt.journal import Journal
from rankprompt.records import Candidates, Document, Qrels
from rankprompt.retrieval import bm25

DATA = Path("../shared/data/time")
DEPTH, KEEP = 20, (1, 2, 3, 4, 6, 8)
STUDENTS = ("bm25", "encoder", "first", "random")
TIMED = {"all windows": (None, 1), "bm25, k=1": ("bm25", 1), "bm25, k=2": ("bm25", 2),
         "bm25, k=4": ("bm25", 4), "encoder, k=4": ("encoder", 4)}  # fmt: skip
AGGREGATES = ("max", "mean:3")
RANDOM_SEEDS = 10
WORDS, CURVE_QUERIES, CURVE_DOCUMENTS = (250, 500, 1000, 2000, 5000), 6, 4


class Remembering:
    """A student or teacher whose answers are kept, to be used again for the quality."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.known: dict[Any, float] = {}

    def __call__(self, asked: Sequence[Any]) -> list[float]:
        found: list[float] = self._inner(asked)
        self.known.update(zip(asked, found, strict=True))
        return found


def measure(folder: Path) -> dict[str, Any]:
    candidates, qrels, documents = load(folder)
    offsets = model_offsets(str(find_reranker()))
    teacher = Remembering(load_cross_encoder(find_reranker()))
    students = {name: Remembering(load_student(name)) for name in ("bm25", "encoder", "first")}
    students |= {f"random {seed}": Remembering(RandomStudent(seed)) for seed in range(RANDOM_SEEDS)}
    timed, runs, calls = time_variants(candidates, offsets, teacher, students)
    lists = windows_of(candidates, offsets)
    quality = qualities(candidates, qrels, lists, teacher.known, students)
    for name, (student, keep) in TIMED.items():  # what was timed is what was scored
        place = f"{student} {keep}" if student else "all"
        assert abs(ndcg(runs[name], qrels) - quality["max"][place]) < 1e-12, name
    sizes = sorted(len(windows) for each in lists for windows in each.values())
    return {
        "queries": len(candidates),
        "documents": len(sizes),
        "windows": sum(sizes),
        "median windows": sizes[len(sizes) // 2],
        "most windows": sizes[-1],
        "bm25 alone": ndcg({one.query.id: dict(zip((d.id for d in one.documents), one.scores,
                           strict=True)) for one in candidates}, qrels),
        "quality": quality,
        "overlap": overlaps(lists, teacher.known, students),
        "milliseconds": timed,
        "teacher calls": calls,
        "curve": curve(candidates, documents, offsets, teacher, students["bm25"]),
        "made": f"{datetime.now(UTC):%Y-%m-%d}",
        "cores": os.cpu_count(),
        "threads": os.environ.get("OMP_NUM_THREADS", "as many as cores"),
        "load": os.getloadavg()[1],
    }  # fmt: skip


def load(folder: Path) -> tuple[list[Candidates], Qrels, dict[str, Document]]:
    qrels = read_qrels(folder / "qrels.trec")
    texts = read_queries(folder / "queries.tsv")
    queries = {name: text for name, text in texts.items() if name in qrels}
    documents = read_documents(folder / "docs.jsonl")
    run = bm25(queries, documents, depth=DEPTH)
    return build_candidates(run, queries, documents, depth=DEPTH)[0], qrels, documents


def time_variants(
    candidates: Sequence[Candidates],
    offsets: Offsets,
    teacher: Teacher,
    students: Mapping[str, Student],
) -> tuple[dict[str, list[float]], dict[str, dict[str, dict[str, float]]], dict[str, int]]:
    """Milliseconds, run and calls of each variant: query by query, one after the other, in turn."""
    cascades = {
        name: Cascade(students[student] if student else None, offsets, keep=keep)
        for name, (student, keep) in TIMED.items()
    }
    runs: dict[str, dict[str, dict[str, float]]] = {name: {} for name in TIMED}
    names = list(TIMED)
    started = time.perf_counter()
    for place, one in enumerate(candidates):
        turn = place % len(names)
        for name in names[turn:] + names[:turn]:
            scores = WindowScores(Journal(None), teacher, "bench")  # nothing of other variants
            runs[name] |= cascades[name].teacher_scores([one], scores, aggregate_by("max"))
        note(f"query {place + 1} of {len(candidates)}", started, 0)
    timed = {name: [1000 * one for one in each.counts.seconds] for name, each in cascades.items()}
    return timed, runs, {name: each.counts.teacher_pairs for name, each in cascades.items()}


def windows_of(candidates: Sequence[Candidates], offsets: Offsets) -> list[dict[str, list[Asked]]]:
    """Every window of each query's documents."""
    settings = WindowSettings()
    return [
        {
            document.id: [
                Asked(each.query.id, document.id, place,
                      (each.query.text, document.text[window.start : window.end]))
                for place, window in enumerate(cut_windows(document.text, offsets, settings)[0])
            ]
            for document in each.documents
        }
        for each in candidates
    ]  # fmt: skip


def scored(student: Remembering, windows: Sequence[Asked]) -> list[float]:
    if any(one not in student.known for one in windows):
        student(windows)
    return [student.known[one] for one in windows]


def qualities(
    candidates: Sequence[Candidates],
    qrels: Qrels,
    lists: Sequence[Mapping[str, Sequence[Asked]]],
    teacher: Mapping[tuple[str, str], float],
    students: Mapping[str, Remembering],
) -> dict[str, dict[str, float]]:
    """nDCG@10 by aggregation, then by student and k."""

    def run(aggregate: str, student: Remembering | None, keep: int) -> float:
        found = {}
        for each, one in zip(lists, candidates, strict=True):
            scores = {}
            for document, windows in each.items():
                places: Sequence[int] = range(len(windows))
                if student is not None:
                    places = best_places(scored(student, windows), keep)
                values = [teacher[windows[place].texts] for place in places]
                scores[document] = aggregate_by(aggregate)(values)
            found[one.query.id] = scores
        return ndcg(found, qrels)

    return {
        aggregate: {
            "all": run(aggregate, None, 1),
            **{
                f"{name} {keep}": run(aggregate, student, keep)
                for name, student in students.items()
                for keep in KEEP
            },
        }
        for aggregate in AGGREGATES
    }


def overlaps(
    lists: Sequence[Mapping[str, Sequence[Asked]]],
    teacher: Mapping[tuple[str, str], float],
    students: Mapping[str, Remembering],
) -> dict[str, float]:
    """The share of the teacher's best k among a student's, where there are more windows than k."""
    found = {}
    for name, student in students.items():
        for keep in KEEP:
            shares = [
                len({*best_places(scored(student, windows), keep)}
                    & {*best_places([teacher[one.texts] for one in windows], keep)}) / keep
                for each in lists
                for windows in each.values()
                if len(windows) > keep
            ]  # fmt: skip
            found[f"{name} {keep}"] = sum(shares) / len(shares)
    return found


def ndcg(run: Mapping[str, Mapping[str, float]], qrels: Qrels) -> float:
    return score(run, qrels, parse_measures(["ndcg@10"])).means["ndcg@10"]


def curve(
    candidates: Sequence[Candidates],
    documents: Mapping[str, Document],
    offsets: Offsets,
    teacher: Teacher,
    student: Student,
) -> dict[str, list[list[float]]]:
    """Milliseconds a query over documents of each length, read to their ends."""
    settings = WindowSettings(limit=100_000)
    found: dict[str, list[list[float]]] = {"all windows": [], "bm25, k=4": []}
    rng = random.Random(0)
    pool = [one.text.split() for one in documents.values()]
    for length in WORDS:
        asked = [
            one._replace(
                documents=tuple(made(rng, pool, length, i) for i in range(CURVE_DOCUMENTS)),
                scores=(0.0,) * CURVE_DOCUMENTS,
            )
            for one in candidates[:CURVE_QUERIES]
        ]
        for name, chosen in (("all windows", None), ("bm25, k=4", student)):
            cascade = Cascade(chosen, offsets, settings=settings)
            scores = WindowScores(Journal(None), teacher, "bench")
            cascade.teacher_scores(asked, scores, aggregate_by("max"))
            found[name].append([1000 * one for one in cascade.counts.seconds])
    return found


def made(rng: random.Random, pool: Sequence[Sequence[str]], length: int, place: int) -> Document:
    words: list[str] = []
    while len(words) < length:
        words += rng.choice(pool)
    return Document(str(place), " ".join(words[:length]))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--figures", type=Path, help="read from here, else measured and kept here")
    arguments = parser.parse_args()
    if arguments.figures and arguments.figures.exists():
        figures = json.loads(arguments.figures.read_text())
    else:
        figures = measure(arguments.data)
        if arguments.figures:
            arguments.figures.write_text(json.dumps(figures))
    print(write(figures))


if __name__ == "__main__":
    main()
