"""The evaluation of several runs as one record, from which the page and the files are made."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rankprompt.errors import InputError
from rankprompt.eval.comparison import Comparison, Interval, compare, draws_for, interval
from rankprompt.eval.cost import Cost, read_cost
from rankprompt.eval.grades import Grades
from rankprompt.eval.limitations import notes_on
from rankprompt.eval.measures import Measure
from rankprompt.eval.query_changes import Change, changes
from rankprompt.eval.rank_movement import Movement, movement
from rankprompt.eval.scoring import Scores, keep_order, score
from rankprompt.files import read_run
from rankprompt.files.manifest import beside
from rankprompt.planning.inspection import DEPTHS, at_depth
from rankprompt.types import Qrels, Run

__all__ = ["Report", "RunReport", "build_report", "name_runs"]


@dataclass(frozen=True)
class RunReport:
    """What is said of one run.

    Attributes:
        name: what the report calls it.
        path: of its file.
        scores: by measure and query.
        intervals: of the means, by measure; None where nothing can be drawn from.
        judged: the mean of judged@k: the share of its top documents that have a grade.
        cost: from its manifest.
        comparisons: with the baseline, by measure; empty for the baseline.
        movement: of the relevant documents since the baseline; None for the baseline.
        gains: the queries that gained most by the first measure.
        losses: the queries that lost most.
    """

    name: str
    path: str
    scores: Scores
    intervals: Mapping[str, Interval | None]
    judged: float
    cost: Cost
    comparisons: Mapping[str, Comparison]
    movement: Movement | None
    gains: Sequence[Change]
    losses: Sequence[Change]


@dataclass(frozen=True)
class Report:
    """The whole evaluation.

    Attributes:
        qrels: what the user called the grades.
        measures: names, the one that queries are looked at by first.
        k: the depth of the top that is looked into.
        baseline: the name of one of the runs.
        runs: in the order given, the baseline first.
        ceiling: of the baseline's candidates by depth, as ``inspect_collection`` gives ``depths``.
        ties: how equal scores were ordered, "docid" or "order".
        notes: what a reader has to know to read the numbers right, in sentences.
        texts: of the queries, as far as they are known.
        resamples: draws of each interval and test.
    """

    qrels: str
    measures: tuple[str, ...]
    k: int
    baseline: str
    runs: tuple[RunReport, ...]
    ceiling: Sequence[Mapping[str, Any]]
    ties: str
    notes: tuple[str, ...]
    texts: Mapping[str, str]
    resamples: int

    @property
    def first(self) -> RunReport:
        """The baseline."""
        return self.runs[0]

    @property
    def others(self) -> tuple[RunReport, ...]:
        """The runs that are compared with it."""
        return self.runs[1:]

    @property
    def comparisons(self) -> list[Comparison]:
        """All of them, run by run."""
        return [one for run in self.others for one in run.comparisons.values()]

    @property
    def main(self) -> str:
        """The measure that queries are looked at by."""
        return self.measures[0]

    def as_data(self) -> dict[str, Any]:
        """All of it, as JSON can hold it; every query's values among it."""
        return {
            "qrels": self.qrels,
            "baseline": self.baseline,
            "measures": self.measures,
            "ties": self.ties,
            "notes": self.notes,
            "resamples": self.resamples,
            "ceiling": self.ceiling,
            "runs": [asdict(run) for run in self.runs],
        }


def name_runs(paths: Sequence[Path]) -> dict[str, Path]:
    """Short names of runs: the file's, without its ending; the path where two would be the same.

    Raises:
        InputError: a file is given twice.
    """
    seen: dict[Path, Path] = {}
    for path in paths:
        if path.resolve() in seen:
            raise InputError(f"{path} is given twice; give each run once")
        seen[path.resolve()] = path
    short = [beside(path, "").name for path in paths]
    named = {
        _printable(name if short.count(name) == 1 else str(path)): path
        for name, path in zip(short, paths, strict=True)
    }
    if len(named) < len(paths):
        raise InputError("two runs would have the same name in the report; rename a file")
    return named


def build_report(
    runs: Mapping[str, Path],
    grades: Grades,
    qrels: Qrels,
    measures: Sequence[Measure],
    *,
    source: str,
    texts: Mapping[str, str] | None = None,
    ties: str = "docid",
    most: int = 10,
    seed: int = 0,
) -> Report:
    """Reads, scores and compares runs.

    Args:
        runs: files by name, the baseline first.
        grades: what the runs are scored by.
        qrels: the grades that are shown beside documents.
        measures: those of ``grades``; gains and losses are of the first.
        source: what the user called the grades.
        texts: of queries, by id.
        ties: "docid" orders equal scores as ``trec_order`` does, "order" as ``read_run`` does.
        most: how many gains, and how many losses, of a run are looked into.
        seed: of the bootstrap and of the randomisation test.

    Raises:
        InputError: a run cannot be read, or has no query in common with the grades.
    """
    loaded = {name: _read(path, ties) for name, path in runs.items()}
    scored = {name: _score(name, run, grades) for name, run in loaded.items()}
    baseline, *others = runs
    names = [one.name for one in measures]
    main, k = names[0], measures[0].k or 10
    judged_at_k = Measure("judged", k=k)
    draws = draws_for(scored[baseline].queries)
    compared = compare(scored, baseline, names, seed=seed, resamples=draws) if others else []
    before = scored[baseline].by_query[main]

    known = {query: _whole(texts[query]) for query in before if texts and query in texts}

    def describe(name: str) -> RunReport:
        moved: Movement | None = None
        gains: list[Change] = []
        losses: list[Change] = []
        if name != baseline:
            after = scored[name].by_query[main]
            moved = movement(loaded[baseline], loaded[name], qrels)
            gains, losses = changes(
                loaded[baseline], loaded[name], qrels, before, after, texts=known, k=k, most=most
            )
        return RunReport(
            name=name,
            path=_printable(str(runs[name])),
            scores=scored[name],
            intervals={
                measure: interval(list(values.values()), seed=seed, resamples=draws)
                for measure, values in scored[name].by_query.items()
            },
            judged=score(loaded[name], qrels, [judged_at_k]).means[judged_at_k.name],
            cost=_cost(runs[name]),
            comparisons={one.measure: one for one in compared if one.run == name},
            movement=moved,
            gains=gains,
            losses=losses,
        )

    return Report(
        qrels=_printable(source),
        measures=tuple(names),
        k=k,
        baseline=baseline,
        runs=tuple(map(describe, runs)),
        ceiling=_ceiling(loaded[baseline], grades, qrels, main),
        ties=ties,
        notes=tuple(notes_on(scored, qrels, measures, baseline)),
        texts=known,
        resamples=draws,
    )


def _read(path: Path, ties: str) -> Run:
    run = read_run(path)
    return {query: keep_order(of) for query, of in run.items()} if ties == "order" else run


def _score(name: str, run: Run, grades: Grades) -> Scores:
    try:
        return grades.score(run)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error


def _ceiling(run: Run, grades: Grades, qrels: Qrels, main: str) -> list[dict[str, Any]]:
    def value(best: Run, _: Qrels) -> float:
        return grades.score(best).means[main]

    deepest = max(map(len, run.values()))
    depths = [depth for depth in DEPTHS if depth < deepest] + [deepest]
    return [at_depth(depth, run, qrels, value) for depth in depths]


def _cost(run: Path) -> Cost:
    found = read_cost(run)
    return found if found.problem is None else replace(found, problem=_printable(found.problem))


def _whole(text: str) -> str:
    """A text without halves of surrogate pairs, which JSON can hold and no file of ours."""
    return text.encode("utf-8", "replace").decode()


def _printable(text: str) -> str:
    """A name that is nothing but text wherever it is shown, whatever a file is called."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)
