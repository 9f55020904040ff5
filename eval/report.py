"""The evaluation of several runs as one record, from which the page and the files are made."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rankprompt.errors import InputError
from rankprompt.eval.ceiling import Ceiling, ceilings_by_depth
from rankprompt.eval.comparison import Comparison, Interval, compare, draws_for, interval
from rankprompt.eval.cost import Cost, read_cost
from rankprompt.eval.grades import Grades
from rankprompt.eval.limitations import comparison_limitations, run_limitations
from rankprompt.eval.measures import Measure
from rankprompt.eval.query_changes import Change, changes
from rankprompt.eval.rank_movement import Movement, movement
from rankprompt.eval.reliability import Reliability, run_reliability
from rankprompt.eval.run_files import read_run_with_ties
from rankprompt.eval.scoring import Scores, score
from rankprompt.eval.shared_queries import SharedQueries
from rankprompt.files.manifest import beside
from rankprompt.types import Run

__all__ = ["Report", "RunReport", "build_report", "name_runs"]


@dataclass(frozen=True)
class RunReport:
    """The evaluation of one run.

    Attributes:
        name: the run's name in the report.
        path: of its file.
        scores: by measure and query.
        intervals: of the means, by measure.
        judged: the mean of judged@k, the share of the top k documents that have a grade.
        cost: from the manifest.
        comparisons: with the baseline, by measure; empty for the baseline.
        movement: of the relevant documents from the baseline; None for the baseline.
        gains: the queries that gained most by the main measure.
        losses: the queries that lost most by the main measure.
        reliability: of the scores, where these are probabilities of relevance.
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
    reliability: Reliability | None = None


@dataclass(frozen=True)
class Report:
    """The whole evaluation.

    Attributes:
        qrels: what the user called the grades.
        baseline: the name of the first run.
        measures: names, the main measure first.
        ties: the order of equal scores, "docid" or "order".
        notes: sentences on what limits the numbers.
        resamples: draws of each interval and test.
        ceiling: of the baseline, by rising depth.
        runs: in the order given, the baseline first.
        k: how many top documents of a query are compared.
        texts: of the queries, by id, as far as they are known.
        shared: the queries to which all of it is restricted; None for all judged queries.
    """

    qrels: str
    baseline: str
    measures: tuple[str, ...]
    ties: str
    notes: tuple[str, ...]
    resamples: int
    ceiling: Sequence[Ceiling]
    runs: tuple[RunReport, ...]
    k: int
    texts: Mapping[str, str]
    shared: SharedQueries | None = None

    @property
    def main_measure(self) -> str:
        """The measure of the figures and of all that is shown by query."""
        return self.measures[0]

    @property
    def baseline_run(self) -> RunReport:
        """The run that the others are compared with."""
        return self.runs[0]

    @property
    def others(self) -> tuple[RunReport, ...]:
        """The runs that are compared with the baseline."""
        return self.runs[1:]

    @property
    def probabilistic(self) -> dict[int, RunReport]:
        """The runs whose scores are probabilities, by their places from 1."""
        return {place: run for place, run in enumerate(self.runs, start=1) if run.reliability}

    @property
    def comparisons(self) -> list[Comparison]:
        """All comparisons, by run, then by measure."""
        return [comparison for run in self.others for comparison in run.comparisons.values()]

    @property
    def resting_on_absent(self) -> bool:
        """Whether most of some difference comes from queries that a run lacks."""
        return any(comparison.rests_on_absent for comparison in self.comparisons)

    @property
    def means(self) -> dict[str, float]:
        """Each run's mean by the main measure."""
        return {run.name: run.scores.means[self.main_measure] for run in self.runs}

    def differences(self, run: RunReport) -> dict[str, float]:
        """A run's differences from the baseline by the main measure, by query id."""
        before = self.baseline_run.scores.by_query[self.main_measure]
        after = run.scores.by_query[self.main_measure]
        return {query: after[query] - before[query] for query in before}

    def as_data(self) -> dict[str, object]:
        """The report as JSON can hold it, with the values of every query."""
        data = asdict(self)
        del data["k"], data["texts"]
        for run in data["runs"]:
            if run["reliability"] is None:
                del run["reliability"]
        return data


def name_runs(paths: Sequence[Path]) -> dict[str, Path]:
    """Names runs by their files without the ending, by their paths where two would be the same.

    Raises:
        InputError: a file is given twice.
    """
    seen: set[Path] = set()
    for path in paths:
        if path.resolve() in seen:
            raise InputError(f"{path} is given twice; give each run once")
        seen.add(path.resolve())
    stems = [beside(path, "").name for path in paths]
    named = {
        _printable(stem if stems.count(stem) == 1 else str(path)): path
        for stem, path in zip(stems, paths, strict=True)
    }
    if len(named) < len(paths):
        raise InputError("two runs would have the same name in the report; rename a file")
    return named


def build_report(
    runs: Mapping[str, Path],
    grades: Grades,
    *,
    source: str,
    texts: Mapping[str, str] | None = None,
    ties: str = "docid",
    seed: int = 0,
    shared: bool = False,
) -> Report:
    """Reads, scores and compares runs.

    Args:
        runs: files by name, the baseline first.
        grades: by which the runs are scored; the first of its measures is the main one.
        source: what the user called the grades.
        texts: of queries, by id.
        ties: the order of equal scores, one of ``run_files.TIES``.
        seed: of the bootstrap and of the randomisation test.
        shared: whether all is restricted to the judged queries that all runs have.

    Raises:
        InputError: a run cannot be read, or has no query in common with the grades, or no query
            is shared.
    """
    loaded = {name: read_run_with_ties(path, ties) for name, path in runs.items()}
    scored = {name: _score(name, run, grades) for name, run in loaded.items()}
    common = SharedQueries.of(scored) if shared else None
    if common:
        scored = {name: common.only(scores) for name, scores in scored.items()}
        kept = frozenset(common.queries)
        grades = grades.only(kept)
        loaded = {name: {q: run[q] for q in run if q in kept} for name, run in loaded.items()}
    baseline, *others = runs
    qrels = grades.qrels
    measures = tuple(measure.name for measure in grades.measures)
    main, k = measures[0], grades.measures[0].k or 10
    level = max(measure.level for measure in grades.measures)
    draws = draws_for(scored[baseline].queries)
    compared = compare(scored, baseline, measures, seed=seed, resamples=draws) if others else []
    before = scored[baseline].by_query[main]
    known = {query: _encodable(texts[query]) for query in before if texts and query in texts}
    judged_at_k = Measure("judged", k=k)

    def describe(name: str, run: Run) -> RunReport:
        moved: Movement | None = None
        gains: list[Change] = []
        losses: list[Change] = []
        if name != baseline:
            moved = movement(loaded[baseline], run, qrels)
            after = scored[name].by_query[main]
            gains, losses = changes(loaded[baseline], run, qrels, before, after, texts=known, k=k)
        cost = read_cost(runs[name])
        return RunReport(
            name=name,
            path=_printable(str(runs[name])),
            scores=scored[name],
            intervals={
                measure: interval(list(values.values()), seed=seed, resamples=draws)
                for measure, values in scored[name].by_query.items()
            },
            judged=score(run, qrels, [judged_at_k]).means[judged_at_k.name],
            cost=replace(cost, problem=cost.problem and _printable(cost.problem)),
            comparisons={c.measure: c for c in compared if c.run == name},
            movement=moved,
            gains=gains,
            losses=losses,
            reliability=run_reliability(runs[name], cost.manifest, qrels, level),
        )

    return Report(
        qrels=_printable(source),
        baseline=baseline,
        measures=measures,
        ties=ties,
        notes=tuple(
            dict.fromkeys(
                (
                    *run_limitations(scored, common),
                    *grades.limitations(),
                    *comparison_limitations(scored),
                )
            )
        ),
        resamples=draws,
        ceiling=ceilings_by_depth(
            loaded[baseline], qrels, lambda ideal: grades.score(ideal).means[main]
        ),
        runs=tuple(describe(name, run) for name, run in loaded.items()),
        k=k,
        texts=known,
        shared=common,
    )


def _score(name: str, run: Run, grades: Grades) -> Scores:
    try:
        return grades.score(run)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error


def _encodable(text: str) -> str:
    """A text without lone surrogates, which JSON can hold and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()


def _printable(text: str) -> str:
    """A name with escapes for all that is not printable, whatever a file is called."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
