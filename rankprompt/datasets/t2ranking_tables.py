"""T2Ranking's judgements and candidates: columns of numbers between white space."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from rankprompt.errors import FormatError
from rankprompt.files.text_lines import read_lines
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

_BLANKS = re.compile("[ \t]+")
_WHOLE = re.compile("[0-9]{1,18}")
_HEADER = re.compile("_?([a-z]+[-_ ]?)?id", re.IGNORECASE)
_RELEVANT = 1  # the grade of a pair that stands without one


def is_header(columns: Sequence[str]) -> bool:
    """Whether a first line names its columns: the first an id, and none a number."""
    return bool(_HEADER.fullmatch(columns[0].strip())) and not any(map(_WHOLE.fullmatch, columns))


def parse_number(path: Path, line: int, text: str) -> str:
    """An id, as it stands.

    Raises:
        FormatError: it is no whole number.
    """
    if not _WHOLE.fullmatch(text):
        problem = f"expected a whole number as the id (or a header such as pid), found {text!r}"
        raise FormatError(path, line, problem)
    return text


def read_pairs(path: Path, *, graded: bool = False) -> Qrels:
    """Reads judgements: qid, pid and grade, perhaps with a column before the pid.

    Args:
        path: the file.
        graded: refuse a file without grades; otherwise its pairs are relevant, with grade 1.

    Returns:
        Grades by query id and passage id, in the file's order.

    Raises:
        InputError: the file cannot be read.
        FormatError: a malformed line, a passage judged twice with different grades, an empty file.
    """
    qrels: dict[str, dict[str, int]] = {}
    for line, columns in _read(path, (3, 4) if graded else (2, 3, 4)):
        names, grade = columns, _RELEVANT
        if len(columns) > 2:
            names, grade = columns[:-1], _grade(path, line, columns[-1])
        query, passage = parse_number(path, line, names[0]), parse_number(path, line, names[-1])
        known = qrels.setdefault(query, {}).setdefault(passage, grade)
        if known != grade:
            problem = f"passage {passage} of query {query} has grade {known} on an earlier line"
            raise FormatError(path, line, problem)
    return qrels


def read_ranks(path: Path) -> Run:
    """Reads candidates: qid, pid, and a rank, a score, or a rank and a score.

    Four columns are ordered as in ``read_run``. A single third column holds scores (higher is
    better) where one of them is no whole number, or all queries' fall from line to line; ranks
    (lower is better) where all queries' rise, or are 1 to n; and is refused where it might be both.

    Returns:
        Scores by query id and passage id, best first; of ranks alone, the scores are the ranks
        below zero.

    Raises:
        InputError: the file cannot be read.
        FormatError: a malformed line, a passage twice in a query, an empty file, or a third column
            that is neither clearly.
    """
    (_, first), *_ = islice(_read(path, (3, 4)), 1)
    if len(first) == 3:
        return _order(path)
    # Most files need no more memory than the run itself.
    try:
        return dict(rank_rows(path, group_rows(path, _ranked_and_scored(path))))
    except RunNeedsReadingWholeError:
        return dict(rank_rows(path, collect_rows(path, _ranked_and_scored(path)).items()))


def _ranked_and_scored(path: Path) -> Iterator[tuple[str, Row]]:
    names: dict[str, str] = {}  # one string for a passage, though many queries find it
    for line, (query, passage, rank, score) in _read_ids(path, (4,)):
        name = names.setdefault(passage, passage)
        yield query, Row(name, parse_rank(path, line, rank), parse_score(path, line, score), line)


def _order(path: Path) -> Run:
    names: dict[str, str] = {}
    values: dict[str, dict[str, float]] = {}
    whole = True
    for line, (query, passage, value) in _read_ids(path, (3,)):
        found = values.setdefault(query, {})
        if passage in found:
            raise FormatError(
                path, line, f"passage {passage} of query {query} stands above already"
            )
        found[names.setdefault(passage, passage)] = parse_score(path, line, value)
        whole = whole and bool(_WHOLE.fullmatch(value))
    ranks = whole and _hold_ranks(path, (list(found.values()) for found in values.values()))
    for query, found in values.items():
        scores = ((name, -value if ranks else value) for name, value in found.items())
        values[query] = dict(sorted(scores, key=lambda one: -one[1]))
    return values


def _hold_ranks(path: Path, queries: Iterable[Sequence[float]]) -> bool:
    rising = falling = places = True
    for numbers in queries:
        ordered = sorted(numbers)
        rising = rising and numbers == ordered and len(set(numbers)) == len(numbers)
        falling = falling and numbers == ordered[::-1]
        places = places and ordered in (list(range(1, len(numbers) + 1)), list(range(len(numbers))))
    if rising or (places and not falling):
        return True
    if falling and not places:
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


def _grade(path: Path, line: int, text: str) -> int:
    if not re.fullmatch("[+-]?[0-9]{1,18}", text):
        raise FormatError(path, line, f"expected a whole number as the grade, found {text!r}")
    return int(text)


def _read(path: Path, counts: tuple[int, ...]) -> Iterator[tuple[int, list[str]]]:
    """The rows of a table, all with as many columns as the first; a header is left out."""
    expected, first, empty = counts, True, True
    for number, line in read_lines(path):
        columns = _BLANKS.split(line.strip(" \t"))
        if len(columns) not in expected:
            many = " or ".join(map(str, expected))
            raise FormatError(path, number, f"expected {many} columns, found {len(columns)}")
        if not (first and is_header(columns)):
            empty = False
            yield number, columns
        first, expected = False, (len(columns),)
    if empty:
        raise FormatError(path, None, "the file is empty; expected rows of qid and pid")
