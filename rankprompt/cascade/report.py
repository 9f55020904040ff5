"""The cascade report: quality, overlap with the teacher, latency and cost of each variant."""

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

from rankprompt.cascade.measurement import (
    ALL,
    CascadeMeasurement,
    ReportRow,
    Variant,
    report_rows,
)
from rankprompt.cascade.report_files import csv_text, quality_plots
from rankprompt.cascade.students import Student, cuts_query, load_student
from rankprompt.cascade.teachers import (
    MINILM,
    YES_NO,
    aggregate_of,
    default_aggregate,
    load_teacher,
    teacher_offsets,
)
from rankprompt.cascade.window_scores import WindowScores
from rankprompt.cascade.windows import WindowConfig
from rankprompt.datasets.candidates import read_candidates
from rankprompt.errors import InputError
from rankprompt.eval.scoring import ndcg_at_10
from rankprompt.files import read_qrels, write_atomically
from rankprompt.journal.store import Journal
from rankprompt.llm.model_folders import make_folder
from rankprompt.types import Candidates

__all__ = ["CascadeReport", "CascadeReportConfig", "report_cascade"]

_SEEDS = 10  # seeds of the student "random", whose mean is reported


@dataclass(frozen=True)
class CascadeReportConfig:
    """What a report measures; each field is an option of ``rankprompt cascade report``.

    Raises:
        InputError: A number is out of range.
    """

    run: Annotated[Path, "TREC run with the candidates."]
    queries: Annotated[Path, "Queries file: TSV (id, tab, text), JSONL or TREC topics."]
    docs: Annotated[Path, "Documents file: JSONL (id; contents or text; title if any) or TSV."]
    qrels: Annotated[Path, "TREC qrels; queries without any are left out."]
    teacher: Annotated[
        str, "The teacher: ms-marco-minilm-l12, the folder of a cross-encoder, or llm:MODEL."
    ] = MINILM
    prompt: Annotated[
        str, "With `teacher` llm:MODEL: the prompt, which shows a single passage."
    ] = YES_NO
    student: Annotated[
        tuple[str, ...],
        "A student to compare, once for each: bm25, encoder, encoder:DIR, ck:DIR, first or random.",
    ] = ("bm25", "first", "random")
    keep: Annotated[tuple[int, ...], "A number k of windows to keep, once for each."] = (1, 2, 4, 8)
    aggregate: Annotated[
        str | None,
        "How window scores make a document's score: max, mean:L or learned. Default: learned where "
        "the teacher has learned weights, otherwise mean:3.",
    ] = None
    depth: Annotated[int, "The most candidates of each query to read."] = 20
    limit: Annotated[
        int | None, "Measure only the first N queries of the run. Default: all queries."
    ] = None
    windows: WindowConfig = field(default_factory=WindowConfig)
    timed: Annotated[
        int,
        "The number of queries, spread over the run, on which every variant is timed; 0 for no "
        "timing.",
    ] = 20
    seed: Annotated[int, "Seed of the student random."] = 0
    skip_missing: Annotated[
        bool, "Leave out candidates without text. Default: report an error."
    ] = False
    journal: Annotated[
        Path | None,
        "File that stores the teacher's scores. Default: teacher.journal in the folder of "
        "`output`; without `output`, memory.",
    ] = None
    output: Annotated[
        Path | None,
        "Folder for cascade.csv, cascade.json and two plots. Default: no files are written.",
    ] = None

    def __post_init__(self) -> None:
        least = min(*self.keep, self.depth, 1 if self.limit is None else self.limit)
        if least < 1 or self.timed < 0:
            raise InputError("`keep`, `depth` and `limit` must be 1 or more, and `timed` 0 or more")


@dataclass(frozen=True)
class CascadeReport:
    """The result of a report; its fields are the keys of ``cascade.json``.

    ``first_stage`` is the nDCG@10 of the candidates in their own order, and ``rows`` has a row for
    each variant, all windows first. The counts are of the queries and candidates measured, but for
    ``queries_without_grades``, which were left out.
    """

    teacher: str
    aggregate: str
    queries: int
    queries_without_grades: int
    documents: int
    windows: int
    documents_cut: int
    queries_cut: int
    queries_timed: int
    first_stage: float
    rows: list[ReportRow]


def report_cascade(
    config: CascadeReportConfig,
    progress: Callable[[int], AbstractContextManager[Callable[[int], None]]],
) -> CascadeReport:
    """Measures every student at every k, and writes the report's files where a folder is named.

    The teacher scores every window once, so quality and overlap are known for each variant.
    Latency, teacher calls and tokens are measured anew on some queries.

    Args:
        config: What to measure.
        progress: Opens a progress bar of so many steps, and gives a function to advance it.

    Raises:
        InputError: A file cannot be read, no query has both candidates and qrels, or a name is
            unknown.
        ModelError: The teacher or a student cannot be loaded, or a score is not finite.
    """
    aggregate_name = config.aggregate or default_aggregate(config.teacher)
    aggregate = aggregate_of(config.teacher, aggregate_name)
    students = {name: _load(name, config.seed) for name in config.student if name != ALL}
    grades = read_qrels(config.qrels)
    _, all_candidates, _ = read_candidates(
        config.run, config.queries, config.docs,
        depth=config.depth, limit=config.limit, skip_missing=config.skip_missing,
    )  # fmt: skip
    candidates = [each for each in all_candidates if each.query.id in grades and each.documents]
    if not candidates:
        raise InputError(
            f"{config.qrels}: no grades for any query of {config.run} that has candidates"
        )
    keeps = sorted(set(config.keep))
    variants: dict[Variant, Student | None] = {Variant(ALL): None}
    variants |= {Variant(name, k): seeds[0] for name, seeds in students.items() for k in keeps}
    timed = _spread(candidates, config.timed)
    journal_path = config.journal
    if config.output:
        make_folder(config.output)
        journal_path = journal_path or config.output / "teacher.journal"
    teacher = load_teacher(config.teacher, prompt=config.prompt)
    ndcg = ndcg_at_10({each.query.id: grades[each.query.id] for each in candidates})
    with (
        progress(len(candidates) + len(timed) * len(variants)) as advance,
        closing(Journal(journal_path)) as journal,
    ):
        offsets = teacher_offsets(config.teacher)
        measurement = CascadeMeasurement(offsets, config.windows, lambda: advance(1))
        scores = WindowScores(journal, teacher, teacher.fingerprint)
        aggregates = {aggregate_name: aggregate}
        quality = measurement.quality(candidates, students, keeps, scores, aggregates, ndcg)
        timings = measurement.latency(timed, variants, teacher, aggregate)
    measured = quality[aggregate_name]
    seeds = [seeds[0] for seeds in students.values()]
    texts = [each.query.text for each in candidates]
    report = CascadeReport(
        teacher=config.teacher,
        aggregate=aggregate_name,
        queries=len(candidates),
        queries_without_grades=len(all_candidates) - len(candidates),
        documents=len(measured.windows),
        windows=sum(measured.windows),
        documents_cut=measured.documents_cut,
        queries_cut=sum(teacher.cuts(q) or any(cuts_query(s, q) for s in seeds) for q in texts),
        queries_timed=len(timed),
        first_stage=ndcg(
            {
                query.id: dict(zip((document.id for document in documents), values, strict=True))
                for query, documents, values in candidates
            }
        ),
        rows=report_rows(measured, timings),
    )
    if folder := config.output:
        write_atomically(folder / "cascade.csv", csv_text(report.rows))
        write_atomically(folder / "cascade.json", json.dumps(asdict(report), indent=2) + "\n")
        for name, svg in quality_plots(report.rows).items():
            write_atomically(folder / name, svg)
    return report


def _load(name: str, seed: int) -> list[Student]:
    seeds = range(seed, seed + _SEEDS) if name == "random" else [seed]
    students = (load_student(name, seed=each) for each in seeds)
    return [student for student in students if student is not None]


def _spread(candidates: Sequence[Candidates], number: int) -> list[Candidates]:
    """So many of the queries, or all, at even distances."""
    number = min(number, len(candidates))
    return [candidates[i * len(candidates) // number] for i in range(number)]
