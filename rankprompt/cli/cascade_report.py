"""``rankprompt cascade report``: what a cascade keeps of quality, and what it saves."""

import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from rankprompt.cascade.teachers import MINILM, YES_NO
from rankprompt.cli import options
from rankprompt.cli.console import print_json, print_table, progress_bar, show_imports, tell
from rankprompt.errors import InputError

if TYPE_CHECKING:
    from rankprompt.cascade.measurement import Variant
    from rankprompt.cascade.students import Student
    from rankprompt.cascade.teachers import ModelTeacher
    from rankprompt.types import Candidates

__all__ = ["report"]

_SEEDS = 10  # of the student "random", whose mean is taken


def report(
    run: Path = typer.Option(..., help="TREC run: the candidates."),
    queries: Path = typer.Option(..., help="TSV (id, tab, text), JSONL or TREC topics."),
    docs: Path = typer.Option(..., help="JSONL (id; contents or text; title if any) or TSV."),
    qrels: Path = typer.Option(..., help="TREC qrels; queries without any are left out."),
    teacher: str = typer.Option(
        MINILM, help="ms-marco-minilm-l12, the folder of a cross-encoder, or llm:MODEL."
    ),
    prompt: str = typer.Option(YES_NO, help="With llm:MODEL: one that shows one passage."),
    student: list[str] = typer.Option(
        ["bm25", "first", "random"], help="bm25, encoder, encoder:DIR, ck:DIR, first or random."
    ),
    keep: list[int] = typer.Option([1, 2, 4, 8], help="Windows of a document to keep; the k."),
    aggregate: str | None = typer.Option(
        None, help="max, mean:L or learned; left out: learned if any, or mean:3."
    ),
    depth: int = typer.Option(20, help="Candidates a query, at the most."),
    limit: int | None = typer.Option(None, help="Only the first N queries of the run."),
    window: int = typer.Option(50, help="Tokens in a window's middle."),
    overlap: int = typer.Option(7, help="Tokens of overlap on each side of it."),
    window_unit: options.CutUnit = "tokens",
    tokens: int = typer.Option(2000, help="Tokens of a document, at the most."),
    timed: int = typer.Option(
        20, help="Queries on which all variants are timed, spread over the run; 0 for none."
    ),
    seed: int = typer.Option(0, help="Of the student random."),
    skip_missing: bool = typer.Option(
        False, "--skip-missing", help="Leave out candidates without text; else an error."
    ),
    journal: Path | None = typer.Option(
        None, help="Keeps the teacher's scores; left out: teacher.journal in --output, if any."
    ),
    output: Path | None = typer.Option(
        None, help="A folder for cascade.csv, cascade.json and two plots."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
    quiet: bool = typer.Option(False, "--quiet", help="No progress bar and no notes."),
) -> None:
    """Show quality, overlap with the teacher, latency and cost of every student and k.

    The teacher scores every window once, and the scores are kept; so nDCG@10 and the share of its
    own best k windows that a student finds are known for each. Latency, calls and tokens are
    measured anew on some queries: all variants in turn, one query after the other.
    """
    from rankprompt.cascade.measurement import ALL, measure_quality, rows, time_variants
    from rankprompt.cascade.model_folders import make_folder
    from rankprompt.cascade.teachers import (
        aggregate_of,
        default_aggregate,
        load_teacher,
        teacher_offsets,
    )
    from rankprompt.cascade.window_scores import WindowScores
    from rankprompt.cascade.windows import WindowSettings
    from rankprompt.datasets.candidates import read_candidates
    from rankprompt.eval.scoring import ndcg_at_10
    from rankprompt.files import read_qrels
    from rankprompt.journal.store import Journal

    if any(one < 1 for one in keep) or timed < 0 or depth < 1 or (limit is not None and limit < 1):
        raise InputError("--keep, --depth and --limit must be 1 or more, and --timed 0 or more")
    settings = WindowSettings(window, overlap, tokens, window_unit)
    chosen = aggregate or default_aggregate(teacher)
    combine = aggregate_of(teacher, chosen)
    students = {name: _load(name, seed) for name in dict.fromkeys(student) if name != ALL}
    grades = read_qrels(qrels)
    _, found, _ = read_candidates(
        run, queries, docs, depth=depth, limit=limit, skip_missing=skip_missing
    )
    candidates = [one for one in found if one.query.id in grades and one.documents]
    if not candidates:
        raise InputError(f"{qrels}: no grades for any query of {run} that has candidates")
    keeps = sorted(set(keep))
    variants = _variants(students, keeps)
    some = _spread(candidates, timed)
    silent = quiet or as_json
    if output:
        make_folder(output)
    kept = journal or (output / "teacher.journal" if output else None)
    with show_imports(quiet=silent):
        model, offsets = load_teacher(teacher, prompt=prompt), teacher_offsets(teacher)
        measure = ndcg_at_10({one.query.id: grades[one.query.id] for one in candidates})
    total = len(candidates) + len(some) * len(variants)
    where: dict[str, Any] = {"offsets": offsets, "settings": settings}
    with progress_bar("measuring", total, quiet=silent) as advance, closing(Journal(kept)) as held:
        where["on_query"] = lambda: advance(1)
        scores = WindowScores(held, model, model.fingerprint)
        named = {chosen: combine}
        quality = measure_quality(candidates, students, keeps, scores, named, measure, **where)
        times = time_variants(some, variants, model, combine, **where)
    sizes = quality[chosen].windows
    cut = [one for one in candidates if _cuts(one.query.text, model, students)]
    made: dict[str, Any] = {
        "teacher": teacher, "aggregate": chosen, "queries": len(candidates),
        "queries_without_grades": len(found) - len(candidates), "documents": len(sizes),
        "windows": sum(sizes), "documents_cut": quality[chosen].documents_cut,
        "queries_cut": len(cut), "queries_timed": len(some),
        "first_stage": measure({one.query.id: _first_stage(one) for one in candidates}),
        "rows": rows(quality[chosen], times),
    }  # fmt: skip
    if output:
        _write(output, made)
    if as_json:
        print_json(made)
        return
    _print(made["rows"])
    if not quiet:
        tell(_summary(made))


def _load(name: str, seed: int) -> "list[Student]":
    from rankprompt.cascade.students import load_student

    seeds = range(seed, seed + _SEEDS) if name == "random" else [seed]
    loaded = (load_student(name, seed=one) for one in seeds)
    return [one for one in loaded if one is not None]


def _cuts(query: str, teacher: "ModelTeacher", students: "dict[str, list[Student]]") -> bool:
    from rankprompt.cascade.students import cuts_query

    return teacher.cuts(query) or any(cuts_query(one[0], query) for one in students.values())


def _variants(
    students: "dict[str, list[Student]]", keeps: list[int]
) -> "dict[Variant, Student | None]":
    from rankprompt.cascade.measurement import ALL, Variant

    found: dict[Variant, Student | None] = {Variant(ALL): None}
    return found | {Variant(name, keep): one[0] for name, one in students.items() for keep in keeps}


def _spread(candidates: "list[Candidates]", number: int) -> "list[Candidates]":
    """So many of the queries, or all, at even distances."""
    number = min(number, len(candidates))
    return [candidates[i * len(candidates) // number] for i in range(number)]


def _first_stage(one: "Candidates") -> dict[str, float]:
    return dict(zip((document.id for document in one.documents), one.scores, strict=True))


def _write(folder: Path, made: dict[str, Any]) -> None:
    from rankprompt.cascade.report_files import quality_plots, to_csv
    from rankprompt.files import write_atomically

    write_atomically(folder / "cascade.csv", to_csv(made["rows"]))
    write_atomically(folder / "cascade.json", json.dumps(made, indent=2) + "\n")
    for name, drawn in quality_plots(made["rows"]).items():
        write_atomically(folder / name, drawn)


def _print(found: list[dict[str, Any]]) -> None:
    columns = {
        "k": "{:,}", "ndcg@10": "{:.4f}", "share": "{:.1%}", "overlap": "{:.1%}", "p50": "{:,.0f}",
        "p95": "{:,.0f}", "p99": "{:,.0f}", "p95_share": "{:.0%}", "teacher_calls": "{:,.1f}",
        "teacher_tokens": "{:,.0f}",
    }  # fmt: skip
    titles = {
        "ndcg@10": "nDCG@10", "p50": "p50 ms", "p95": "p95 ms", "p99": "p99 ms",
        "p95_share": "p95 share", "teacher_calls": "calls", "teacher_tokens": "tokens",
        "share": "kept",
    }  # fmt: skip
    print_table(
        ["student", *(titles.get(name, name) for name in columns)],
        [
            [
                row["student"],
                *("" if row[k] is None else form.format(row[k]) for k, form in columns.items()),
            ]
            for row in found
        ],
    )


def _summary(made: dict[str, Any]) -> str:
    left, queries, documents = (
        made[one] for one in ("queries_without_grades", "queries_cut", "documents_cut")
    )
    return (
        f"{made['queries']} queries, {made['documents']:,} documents, {made['windows']:,} windows; "
        f"aggregated by {made['aggregate']}; the first stage has nDCG@10 "
        f"{made['first_stage']:.4f}; milliseconds, calls and tokens are a query's, on "
        f"{made['queries_timed']} queries"
        + (f"; {left} queries without grades" if left else "")
        + (f"; {documents} documents cut" if documents else "")
        + (f"; {queries} queries cut" if queries else "")
    )
