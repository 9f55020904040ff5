"""T2Ranking's judgements and candidates: columns of numbers, separated by white space."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from rankprompt.errors import FormatError
from rankprompt.files.text_lines import read_lines, split_columns
from rankprompt.files.trec_qrels import parse_grade
from rankprompt.files.trec_run import (
    Row,
    RunNeedsReadingWholeError,
    collect_rows,
    group_rows,
    parse_rank,
    parse_score,
    rank_rows,
)
from rankprompt.types import Qrels, Run

__all__ = ["is_header", "parse_number", "read_pairs", "read_ranks"]

_WHOLE = re.compile("[0-9]{1,18}")
_HEADER = re.compile("_?([a-z]+[-_ ]?)?id", re.IGNORECASE)
_RELEVANT = 1  # the grade of a pair without a grade


def is_header(columns: Sequence[str]) -> bool:
    """Returns whether a first line names its columns: the first is an id, none is a number."""
    return bool(_HEADER.fullmatch(columns[0].strip())) and not any(map(_WHOLE.fullmatch, columns))


def parse_number(path: Path, line: int, text: str) -> str:
    """Returns an id unchanged if it is a whole number.

    Raises:
        FormatError: it is something else.
    """
    if not _WHOLE.fullmatch(text):
        problem = f"expected a whole number as the id (or a header such as pid), found {text!r}"
        raise FormatError(path, line, problem)
    return text


def read_pairs(path: Path, *, graded: bool = False) -> Qrels:
    """Reads judgements: qid, pid and grade, with an optional column before the pid.

    Args:
        path: the file.
        graded: refuse a file without grades; otherwise its pairs are relevant, with grade 1.

    Returns:
        Grades by query id and passage id, in the file's order.

    Raises:
        InputError: the file cannot be read.
        FormatError: a line is malformed, a passage is judged twice with different grades, or the
            file is empty.
    """
    qrels: dict[str, dict[str, int]] = {}
    for line, columns in _read(path, (3, 4) if graded else (2, 3, 4)):
        names, grade = columns, _RELEVANT
        if len(columns) > 2:
            names, grade = columns[:-1], parse_grade(path, line, columns[-1])
        query, passage = parse_number(path, line, names[0]), parse_number(path, line, names[-1])
        # Unlike gather_grades, this stores no line numbers: T2Ranking has millions of pairs.
        first_grade = qrels.setdefault(query, {}).setdefault(passage, grade)
        if first_grade != grade:
            problem = (
                f"passage {passage} of query {query} has grade {first_grade} on an earlier line"
            )
            raise FormatError(path, line, problem)
    return qrels


def read_ranks(path: Path) -> Run:
    """Reads candidates: qid, pid, and a rank, a score, or a rank and a score.

    Rows with a rank and a score are ordered as in ``read_run``. A single third column contains
    scores (higher is better) if one of them is not a whole number, or if they fall from line to
    line in every query. It contains ranks (lower is better) if they rise in every query, or are 1
    to n in every query. It is refused if both is possible.

    Returns:
        Scores by query id and passage id, best first; ranks without scores become negative scores.

    Raises:
        InputError: the file cannot be read.
        FormatError: a line is malformed, a query has a passage twice, the file is empty, or the
            meaning of the third column is unclear.
    """
    (_, first), *_ = islice(_read(path, (3, 4)), 1)
    if len(first) == 3:
        return _read_single_column(path)
    # Most files are sorted by query, and need no more memory than the run itself.
    try:
        return dict(rank_rows(path, group_rows(path, _rank_and_score_rows(path))))
    except RunNeedsReadingWholeError:
        return dict(rank_rows(path, collect_rows(path, _rank_and_score_rows(path)).items()))


def _rank_and_score_rows(path: Path) -> Iterator[tuple[str, Row]]:
    names: dict[str, str] = {}  # shares one string among all queries that have the passage
    for line, (query, passage, rank, score) in _read_ids(path, (4,)):
        name = names.setdefault(passage, passage)
        yield query, Row(name, parse_rank(path, line, rank), parse_score(path, line, score), line)


def _read_single_column(path: Path) -> Run:
    names: dict[str, str] = {}
    values: dict[str, dict[str, float]] = {}
    whole = True
    for line, (query, passage, value) in _read_ids(path, (3,)):
        of_query = values.setdefault(query, {})
        if passage in of_query:
            raise FormatError(path, line, f"query {query} has passage {passage} above already")
        of_query[names.setdefault(passage, passage)] = parse_score(path, line, value)
        whole = whole and bool(_WHOLE.fullmatch(value))
    ranks = whole and _are_ranks(path, (list(of_query.values()) for of_query in values.values()))
    for query, of_query in values.items():
        scores = ((name, -value if ranks else value) for name, value in of_query.items())
        values[query] = dict(sorted(scores, key=lambda pair: -pair[1]))
    return values


def _are_ranks(path: Path, queries: Iterable[Sequence[float]]) -> bool:
    rising = falling = consecutive = True
    for numbers in queries:
        ordered = sorted(numbers)
        rising = rising and numbers == ordered and len(set(numbers)) == len(numbers)
        falling = falling and numbers == ordered[::-1]
        length = len(numbers)
        consecutive = consecutive and ordered in (list(range(1, length + 1)), list(range(length)))
    if rising or (consecutive and not falling):
        return True
    if falling and not consecutive:
        return False
    raise FormatError(
        path,
        None,
        "cannot tell whether the third column holds ranks or scores; expected ranks that rise in "
        "every query, scores that fall, or both (qid, pid, rank, score)",
    )


def _read_ids(path: Path, counts: tuple[int, ...]) -> Iterator[tuple[int, list[str]]]:
    for line, columns in _read(path, counts):
        parse_number(path, line, columns[0])
        parse_number(path, line, columns[1])
        yield line, columns


def _read(path: Path, counts: tuple[int, ...]) -> Iterator[tuple[int, list[str]]]:
    """Yields line numbers and columns, as many as in the first row; a header is skipped."""
    expected, first, empty = counts, True, True
    for number, line in read_lines(path):
        columns = split_columns(line)
        if len(columns) not in expected:
            choices = " or ".join(map(str, expected))
            raise FormatError(path, number, f"expected {choices} columns, found {len(columns)}")
        if not (first and is_header(columns)):
            empty = False
            yield number, columns
        first, expected = False, (len(columns),)
    if empty:
        raise FormatError(path, None, "the file is empty; expected rows of qid and pid")
