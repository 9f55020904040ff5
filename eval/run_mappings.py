"""Runs and grades that a program holds in memory, checked as the readers of files check theirs."""

from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any, TypeVar

from rankprompt.errors import InputError
from rankprompt.eval.grades import Grades
from rankprompt.eval.run_files import check_ties, order_ties
from rankprompt.eval.scoring import Scores, check_scores

__all__ = ["check_qrels", "check_run", "score_run_mapping"]

V = TypeVar("V", int, float)


def check_run(run: object) -> dict[str, dict[str, float]]:
    """Checks a run, and orders the documents of each query as those of a file are read.

    Args:
        run: finite scores by query id and document id, higher is better.

    Returns:
        The run with its documents best first; equal scores keep the order of the mapping.

    Raises:
        InputError: the run is not such a mapping, or a score is not finite.
    """
    checked = _check("run", run, "score", float)
    for query, scores in checked.items():
        check_scores(query, scores)
    return {
        query: dict(sorted(scores.items(), key=lambda pair: -pair[1]))
        for query, scores in checked.items()
    }


def check_qrels(qrels: object) -> dict[str, dict[str, int]]:
    """Checks grades.

    Args:
        qrels: whole numbers by query id and document id, higher is more relevant.

    Raises:
        InputError: the grades are not such a mapping.
    """
    return _check("qrels", qrels, "grade", int)


def score_run_mapping(name: str, run: object, grades: Grades, ties: str) -> Scores:
    """Scores a run as ``score_run_file`` scores a file.

    Args:
        name: of the run, for messages.
        run: as for ``check_run``.
        grades: with the measures.
        ties: the order of equal scores; "order" is that of the mapping.

    Raises:
        InputError: the run cannot be scored; the message has its name.
        UnknownNameError: the order of equal scores is unknown.
    """
    check_ties(ties)
    try:
        return grades.score(order_ties(check_run(run), ties))
    except InputError as error:
        raise InputError(f"{name}: {error}") from error


def _check(
    what: str, by_query: object, noun: str, kind: Callable[[Any], V]
) -> dict[str, dict[str, V]]:
    if not isinstance(by_query, Mapping):
        raise InputError(f"the {what} must be a mapping by query, not {type(by_query).__name__}")
    checked: dict[str, dict[str, V]] = {}
    for query, documents in by_query.items():
        _check_id("query", query)
        if not isinstance(documents, Mapping):
            found = type(documents).__name__
            raise InputError(
                f"query {query!r}: expected {noun}s by document id in a mapping, not {found}"
            )
        checked[query] = {}
        for document, value in documents.items():
            _check_id("document", document)
            try:
                if not isinstance(value, Real) or (kind is int and not float(value).is_integer()):
                    raise TypeError
                checked[query][document] = kind(value)
            except (TypeError, ValueError, OverflowError):
                number = "whole number" if kind is int else "number"
                raise InputError(
                    f"query {query!r}: the {noun} of document {document!r} must be a {number}, "
                    f"not {value!r:.80}"
                ) from None
    return checked


def _check_id(noun: str, name: object) -> None:
    if not isinstance(name, str):
        raise InputError(f"a {noun}'s id must be a text, not {name!r:.80}")
