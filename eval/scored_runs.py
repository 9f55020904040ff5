"""Grades and runs from files or from memory, scored and compared with all that limits the numbers.

The commands ``evaluate`` and ``compare`` and the functions of ``rankprompt.api`` print and return
what is computed here.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rankprompt.errors import InputError
from rankprompt.eval.comparison import (
    RESAMPLES,
    Comparison,
    MeanScore,
    compare,
    draws_for,
    mean_scores,
)
from rankprompt.eval.grades import Grades
from rankprompt.eval.limitations import comparison_limitations, run_limitations
from rankprompt.eval.measures import Measure
from rankprompt.eval.run_files import score_run_file
from rankprompt.eval.run_mappings import check_qrels, score_run_mapping
from rankprompt.eval.scoring import Scores
from rankprompt.eval.shared_queries import SharedQueries
from rankprompt.files import read_qrels
from rankprompt.types import Qrels, Run

if TYPE_CHECKING:
    from rankprompt.datasets.base import Collection

__all__ = ["ComparedRuns", "ScoredRuns", "compare_runs", "read_grades", "score_runs"]


class ScoredRuns(NamedTuple):
    """The scores of runs.

    Attributes:
        scores: in the order of the runs.
        shared: the queries that the scores are restricted to; None for all judged queries.
        limitations: sentences on what limits the scores.
    """

    scores: list[Scores]
    shared: SharedQueries | None
    limitations: tuple[str, ...]


class ComparedRuns(NamedTuple):
    """Runs compared with a baseline.

    Attributes:
        comparisons: as ``rankprompt.eval.compare`` gives them.
        means: as ``rankprompt.eval.comparison.mean_scores`` gives them.
        draws: of each interval and test.
        limitations: sentences on what limits the comparisons.
    """

    comparisons: list[Comparison]
    means: list[MeanScore]
    draws: int
    limitations: tuple[str, ...]


def read_grades(
    qrels: Path | Qrels | None,
    dataset: str | None,
    split: str | None,
    measures: Sequence[Measure],
) -> "tuple[Grades, Collection | None]":
    """Reads the grades that the user named, and returns them with their collection, if any.

    Args:
        qrels: a file in TREC form, or grades by query and document.
        dataset: a collection in place of them, as ``rankprompt.datasets.open_collection`` takes it.
        split: of the dataset.
        measures: what the grades are for.

    Raises:
        InputError: neither or both of qrels and dataset are given, or they cannot be read.
    """
    if qrels is not None and not dataset:
        read = read_qrels(qrels) if isinstance(qrels, Path) else check_qrels(qrels)
        return Grades(read, measures), None
    if qrels is not None or not dataset:
        raise InputError("give either `qrels` or `dataset`")
    from rankprompt.datasets import open_collection

    collection = open_collection(dataset, split=split)
    return Grades.of(collection, measures), collection


def score_runs(
    runs: Sequence[tuple[str, Path | Run]], grades: Grades, ties: str, *, shared: bool
) -> ScoredRuns:
    """Scores runs.

    Args:
        runs: each with its name, as a file or as scores by query and document.
        grades: with the measures.
        ties: the order of equal scores, a name in ``rankprompt.eval.run_files.TIES``.
        shared: score only the judged queries that all runs have.

    Raises:
        InputError: a run cannot be read or scored.
    """
    scored = [
        score_run_file(run, grades, ties)
        if isinstance(run, Path)
        else score_run_mapping(name, run, grades, ties)
        for name, run in runs
    ]
    names = [name for name, _ in runs]
    common = SharedQueries.of(dict(zip(names, scored, strict=True))) if shared else None
    if common:
        scored = [common.only(scores) for scores in scored]
        grades = grades.only(frozenset(common.queries))
    by_name = dict(zip(names, scored, strict=True))
    limitations = (*run_limitations(by_name, common), *grades.limitations())
    return ScoredRuns(scored, common, limitations)


def compare_runs(
    scored: Mapping[str, Scores], baseline: str, measures: Sequence[str], *, seed: int
) -> ComparedRuns:
    """Compares each run with a baseline, query by query.

    Args:
        scored: scores by the run's name, all by the same qrels.
        baseline: one of the names.
        measures: names of measures that all runs were scored by.
        seed: of the bootstrap and of the randomisation test.

    Raises:
        InputError: as ``rankprompt.eval.compare``.
    """
    comparisons = compare(scored, baseline, measures, seed=seed)
    limitations = list(comparison_limitations(scored))
    queries = scored[baseline].queries
    draws = draws_for(queries)
    if draws < RESAMPLES:
        limitations.append(
            f"for {queries:,} queries intervals and tests take {draws:,} draws, not {RESAMPLES:,}"
        )
    means = mean_scores(scored, measures, seed=seed)
    return ComparedRuns(comparisons, means, draws, tuple(limitations))
