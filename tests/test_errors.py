import copy
import pickle
import re
from pathlib import Path

import pytest

from rankprompt import errors
from rankprompt.errors import (
    FormatError,
    InputError,
    JournalError,
    MissingPackageError,
    MissingTextError,
    ModelError,
    RankpromptError,
    UnknownNameError,
)


def tree(root: type[Exception], depth: int = 0) -> list[tuple[int, str]]:
    rows = [(depth, root.__name__)]
    for child in sorted(root.__subclasses__(), key=lambda one: one.__name__):
        if child.__module__ == errors.__name__:
            rows += tree(child, depth + 1)
    return rows


def test_the_tree_is_the_one_that_the_docstring_draws() -> None:
    drawn = re.findall(r"^( *)\* (\w+)", errors.__doc__ or "", re.MULTILINE)
    edges = set()
    above: dict[int, str] = {}
    for indent, name in drawn:
        depth = len(indent) // 4
        above[depth] = name
        edges.add((above.get(depth - 1), name))
    real = set()
    for depth, name in tree(RankpromptError):
        above[depth] = name
        real.add((above[depth - 1] if depth else None, name))
    assert edges == real
    assert {name for _, name in edges} == set(errors.__all__)


ERRORS = [
    InputError("x"),
    FormatError("f", 1, "x"),
    MissingTextError("x"),
    UnknownNameError("method", "x", []),
    ModelError("x"),
    JournalError("x"),
    MissingPackageError("torch"),
]


@pytest.mark.parametrize("error", ERRORS)
def test_every_error_is_ours_in_one_line_with_exit_code_2(error: RankpromptError) -> None:
    assert isinstance(error, RankpromptError)
    assert error.exit_code == 2
    assert len(str(error).splitlines()) == 1


def test_every_class_of_the_tree_is_tried_here() -> None:
    assert {type(error).__name__ for error in ERRORS} == set(errors.__all__) - {"RankpromptError"}


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_comes_whole_from_another_process(error: RankpromptError) -> None:
    error.add_note("worker 3")
    for found in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(found) is type(error)
        assert (str(found), found.args, vars(found)) == (str(error), error.args, vars(error))


def test_a_format_error_says_where() -> None:
    error = FormatError("runs/a.trec", 12, "expected 6 columns")
    assert str(error) == "runs/a.trec:12: expected 6 columns"
    assert (error.path, error.line) == (Path("runs/a.trec"), 12)
    assert error.problem == "expected 6 columns"
    assert str(FormatError("a.toml", None, "empty")) == "a.toml: empty"


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    error = UnknownNameError("method", "SLIDNG", ["sliding", "allpair"], "See the manual.")
    assert str(error) == (
        "unknown method 'SLIDNG'; did you mean 'sliding'? Known: allpair, sliding. See the manual."
    )


def test_a_name_that_is_like_none_gets_no_guess() -> None:
    error = UnknownNameError("method", "zzz", ["sliding", "allpair"])
    assert str(error) == "unknown method 'zzz'. Known: allpair, sliding."


def test_an_error_is_one_line_whatever_a_file_has_put_into_it() -> None:
    error = FormatError("f\u2028.tsv", 3, "found '\x1b[2J\r\n\u202e文'")
    assert str(error) == r"f\u2028.tsv:3: found '\x1b[2J\r\n\u202e文'"
    assert len(str(error).splitlines()) == 1
