"""Where the verbs that score runs find their grades, and how they read and score a run."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rankprompt.cli.console import tell

if TYPE_CHECKING:
    from rankprompt.eval import Grades, Measure, Scores

__all__ = ["TIES_HELP", "check_ties", "grades_of", "score_runs"]

TIES_HELP = (
    "How equal scores are ordered: docid, as trec_eval does, the last id in the alphabet first; or "
    "order, by the rank column, then by line."
)


def grades_of(
    qrels: Path | None, dataset: str | None, split: str | None, measures: "Sequence[Measure]"
) -> "Grades":
    """The grades that the user named.

    Raises:
        InputError: neither or both of file and dataset are given, or they cannot be read.
    """
    from rankprompt.datasets import open_collection
    from rankprompt.errors import InputError
    from rankprompt.eval import Grades
    from rankprompt.files import read_qrels

    if (qrels is None) == (dataset is None):
        raise InputError("give either --qrels or --dataset")
    if qrels:
        return Grades(read_qrels(qrels), measures)
    return Grades.of(open_collection(dataset or "", split=split), measures)


def check_ties(ties: str) -> None:
    """Refuses a way of ordering equal scores that there is not.

    Raises:
        UnknownNameError: the nearest is offered.
    """
    from rankprompt.errors import UnknownNameError

    if ties not in ("docid", "order"):
        raise UnknownNameError("way to order ties", ties, ("docid", "order"))


def score_runs(runs: Sequence[Path], grades: "Grades", ties: str) -> "list[Scores]":
    """Scores runs, each read a query at a time where its lines allow that.

    What the grades do not support, what a run lacks, and what is left out is told on stderr.

    Raises:
        InputError: a run cannot be read or scored; nothing is told then.
    """
    check_ties(ties)
    scored = [_score(run, grades, ties) for run in runs]
    for note in grades.notes():
        tell(note)
    for run, scores in zip(runs, scored, strict=True):
        if missing := len(scores.missing):
            few = " (only few are shared)" if missing * 2 > scores.queries else ""
            tell(f"{run}: {missing} of {scores.queries} queries are missing, count 0{few}")
        if scores.unjudged_queries:
            tell(f"{run}: {len(scores.unjudged_queries)} queries without grades are left out")
    return scored


def _score(run: Path, grades: "Grades", ties: str) -> "Scores":
    from rankprompt.errors import InputError
    from rankprompt.eval.scoring import keep_order
    from rankprompt.files import RunNeedsReadingWholeError, iterate_run, read_run

    order = keep_order if ties == "order" else dict
    try:
        try:
            return grades.score((query, order(of)) for query, of in iterate_run(run))
        except RunNeedsReadingWholeError:
            return grades.score((query, order(of)) for query, of in read_run(run).items())
    except InputError as error:
        # Those of reading name the file already.
        raise error if str(run) in str(error) else InputError(f"{run}: {error}") from error
