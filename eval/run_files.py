"""Reading and scoring of run files, with equal scores in one of two orders."""

from collections.abc import Callable, Mapping
from pathlib import Path

from rankprompt.errors import InputError, UnknownNameError
from rankprompt.eval.grades import Grades
from rankprompt.eval.scoring import Scores, keep_order
from rankprompt.files import RunNeedsReadingWholeError, iterate_run, read_run
from rankprompt.types import Run

__all__ = ["TIES", "check_ties", "order_ties", "read_run_with_ties", "score_run_file"]

_ORDERS: Mapping[str, Callable[[Mapping[str, float]], Mapping[str, float]]] = {
    "docid": lambda scores: scores,
    "order": keep_order,
}
TIES = tuple(_ORDERS)
"""The orders of equal scores: "docid" as in ``trec_order``, "order" as ``read_run`` reads them."""


def check_ties(ties: str) -> None:
    """Checks the name of an order of equal scores.

    Raises:
        UnknownNameError: it is not in ``TIES``.
    """
    if ties not in _ORDERS:
        raise UnknownNameError("way to order ties", ties, TIES)


def read_run_with_ties(path: Path, ties: str) -> Run:
    """Reads a run whose scores are equal only where document ids are to decide.

    Raises:
        InputError: the run cannot be read.
    """
    return order_ties(read_run(path), ties)


def order_ties(run: Run, ties: str) -> Run:
    """Replaces scores so that they are equal only where document ids are to decide.

    Args:
        run: scores by query and document, best first, equal ones in the order that is meant.
        ties: a name in ``TIES``.

    Raises:
        UnknownNameError: the name is not in ``TIES``.
    """
    check_ties(ties)
    return {query: _ORDERS[ties](scores) for query, scores in run.items()}


def score_run_file(path: Path, grades: Grades, ties: str) -> Scores:
    """Scores a run, read one query at a time where the lines of each query stand together.

    Raises:
        InputError: the run cannot be read or scored; the message names the file.
    """
    check_ties(ties)
    try:
        try:
            return grades.score((query, _ORDERS[ties](of)) for query, of in iterate_run(path))
        except RunNeedsReadingWholeError:
            return grades.score(read_run_with_ties(path, ties))
    except InputError as error:
        # The messages of the reader name the file already.
        raise error if str(path) in str(error) else InputError(f"{path}: {error}") from error
