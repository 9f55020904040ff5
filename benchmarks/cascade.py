"""Quality and cost of the cascade, compared with its teacher: docs/results/cascade.md.

TIME's long documents (BM25's top 20), ms-marco-MiniLM-L-12-v2 (int8, ONNX) as the teacher. Run with
OMP_NUM_THREADS=1. ``--figures FILE`` keeps the measurements, so that the page can be written again.
"""

import argparse
import json
import os
import random
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.cascade_report import write
from benchmarks.tables import note
from rankprompt.cascade.aggregation import aggregate_by
from rankprompt.cascade.cascade import Cascade
from rankprompt.cascade.measurement import ALL, CascadeMeasurement, Variant
from rankprompt.cascade.students import Student, load_student
from rankprompt.cascade.students.controls import RandomStudent
from rankprompt.cascade.teachers import MINILM, load_teacher, teacher_offsets
from rankprompt.cascade.window_scores import PairScorer, WindowScores
from rankprompt.cascade.windows import WindowConfig
from rankprompt.datasets.candidates import build_candidates
from rankprompt.eval.scoring import ndcg_at_10
from rankprompt.files import read_documents, read_qrels, read_queries
from rankprompt.files.cache_directory import cache_dir
from rankprompt.journal.store import Journal
from rankprompt.llm.tokenizer_offsets import Offsets
from rankprompt.retrieval import bm25
from rankprompt.types import Candidates, Document, Qrels

DATA = Path("../shared/data/time")
DEPTH, KEEP = 20, (1, 2, 3, 4, 6, 8)
STUDENTS = ("bm25", "encoder", "first")
TIMED = (Variant(ALL), *(Variant("bm25", keep) for keep in (1, 2, 4, 6)), Variant("encoder", 4))
AGGREGATES = ("max", "mean:3")
RANDOM_SEEDS = 10
WORDS, CURVE_QUERIES, CURVE_DOCUMENTS = (250, 500, 1000, 2000, 5000), 6, 4


def measure(folder: Path) -> dict[str, Any]:
    begun = time.perf_counter()
    candidates, qrels, documents = load(folder)
    teacher, offsets = load_teacher(MINILM), teacher_offsets(MINILM)
    measurement = CascadeMeasurement(offsets, WindowConfig())
    students: dict[str, list[Any]] = {name: [load_student(name)] for name in STUDENTS}
    students["random"] = [RandomStudent(seed) for seed in range(RANDOM_SEEDS)]
    variants = {one: students[one.student][0] if one.keep else None for one in TIMED}
    started = time.perf_counter()
    timed = measurement.latency(candidates, variants, teacher, max)
    note("latency", started, teacher.tokens)
    with closing(Journal(cache_dir("time-teacher.journal"))) as journal:
        scores = WindowScores(journal, teacher, teacher.fingerprint)
        aggregates = {name: aggregate_by(name) for name in AGGREGATES}
        of_run = ndcg_at_10(qrels)
        measured = measurement.quality(candidates, students, KEEP, scores, aggregates, of_run)
    note("quality", started, teacher.tokens)
    quality = measured["max"]
    for variant, one in timed.items():  # the timed runs are the scored ones
        assert abs(of_run(one.run) - quality.values[variant]) < 1e-12, variant
    sizes = sorted(quality.windows)
    milliseconds, calls = curve(candidates, documents, offsets, teacher, students["bm25"][0])
    return {
        "queries": len(candidates),
        "documents": len(sizes),
        "windows": sum(sizes),
        "median windows": sizes[len(sizes) // 2],
        "most windows": sizes[-1],
        "bm25 alone": of_run({one.query.id: dict(zip((d.id for d in one.documents), one.scores,
                              strict=True)) for one in candidates}),
        "quality": {name: named(each.values) for name, each in measured.items()},
        "overlap": named(quality.overlaps),
        "milliseconds": {label(one): each.milliseconds for one, each in timed.items()},
        "teacher calls": {label(one): each.calls for one, each in timed.items()},
        "curve": milliseconds,
        "curve calls": calls,
        "made": f"{datetime.now(UTC):%Y-%m-%d}",
        "cores": os.cpu_count(),
        "threads": os.environ.get("OMP_NUM_THREADS", "as many as cores"),
        "load": os.getloadavg()[2],
        "seconds": time.perf_counter() - begun,
    }  # fmt: skip


def named(values: Mapping[Variant, float | None]) -> dict[str, float]:
    by_name = {f"{one.student} {one.keep}" if one.keep else ALL: value
               for one, value in values.items()}  # fmt: skip
    return {name: value for name, value in by_name.items() if value is not None}


def label(variant: Variant) -> str:
    return f"{variant.student}, k={variant.keep}" if variant.keep else "all windows"


def load(folder: Path) -> tuple[list[Candidates], Qrels, dict[str, Document]]:
    qrels = read_qrels(folder / "qrels.trec")
    texts = read_queries(folder / "queries.tsv")
    queries = {name: text for name, text in texts.items() if name in qrels}
    documents = read_documents(folder / "docs.jsonl")
    run = bm25(queries, documents, depth=DEPTH)
    return build_candidates(run, queries, documents, depth=DEPTH)[0], qrels, documents


def curve(
    candidates: Sequence[Candidates],
    documents: Mapping[str, Document],
    offsets: Offsets,
    teacher: PairScorer,
    student: Student,
) -> tuple[dict[str, list[list[float]]], dict[str, list[float]]]:
    """Measures whole documents of each length.

    Returns:
        By variant and length, the milliseconds of each query, and the mean of the teacher's calls.
    """
    settings = WindowConfig(tokens=100_000)
    milliseconds: dict[str, list[list[float]]] = {"all windows": [], "bm25, k=4": []}
    calls: dict[str, list[float]] = {name: [] for name in milliseconds}
    rng = random.Random(0)
    pool = [one.text.split() for one in documents.values()]
    for length in WORDS:
        resized = [
            one._replace(
                documents=tuple(
                    random_document(rng, pool, length, i) for i in range(CURVE_DOCUMENTS)
                ),
                scores=(0.0,) * CURVE_DOCUMENTS,
            )
            for one in candidates[:CURVE_QUERIES]
        ]
        for name, chosen in (("all windows", None), ("bm25, k=4", student)):
            cascade = Cascade(chosen, offsets, windows=settings)
            scores = WindowScores(Journal(None), teacher, "bench")
            cascade.teacher_scores(resized, scores, aggregate_by("max"))
            milliseconds[name].append([1000 * one for one in cascade.counts.seconds])
            calls[name].append(scores.teacher_calls / len(resized))
    return milliseconds, calls


def random_document(
    rng: random.Random, pool: Sequence[Sequence[str]], length: int, number: int
) -> Document:
    words: list[str] = []
    while len(words) < length:
        words += rng.choice(pool)
    return Document(str(number), " ".join(words[:length]))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--figures", type=Path, help="read if it exists, else measured and written")
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
