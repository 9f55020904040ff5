"""The scores of a run with the model's own numbers."""

from pathlib import Path

import pytest

from rankprompt.errors import FormatError, InputError
from rankprompt.files.scores_file import ScoredDocument, read_scores

HEADER = "query\tdocument\trank\tscore\tvalue\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "scores.tsv"


def test_scores_are_read_in_order(path: Path) -> None:
    path.write_text(f"{HEADER}b\td2\t1\t1\t-2.5e-1\nb\td1\t2\t0.5\t\na\td1\t1\t0.0\t7\n")
    scores = read_scores(path)
    assert scores == {
        "b": {"d2": ScoredDocument(1, 1.0, -0.25), "d1": ScoredDocument(2, 0.5, None)},
        "a": {"d1": ScoredDocument(1, 0.0, 7.0)},
    }
    assert [list(scores), list(scores["b"])] == [["b", "a"], ["d2", "d1"]]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("q\td\t1\t0.5", "expected 5 columns .*, found 4"),
        ("q d 1 0.5 3", "found 1"),
        ("\td\t1\t0.5\t", "is empty"),
        ("q\td\t0\t0.5\t", "expected a whole number from 1 as the rank, found '0'"),
        ("q\td\t1.0\t0.5\t", "found '1.0'"),
        ("q\td\t1\t1.01\t", "expected a score from 0 to 1, found '1.01'"),
        ("q\td\t1\tnan\t", "expected a finite number as the score, found 'nan'"),
        ("q\td\t1\t\t3", "as the score, found ''"),
        ("q\td\t1\t0.5\tinf", "expected a finite number as the value, found 'inf'"),
        ("q\td\t1\t0.5\t1e999", "as the value, found '1e999'"),
        ("q\td\t1\t0.5\t1_0", "found '1_0'"),
        ("p\td\t2\t0.5\t1", "document d of query p is already on line 2"),
    ],
)
def test_a_malformed_line_is_told(path: Path, line: str, problem: str) -> None:
    path.write_text(f"{HEADER}p\td\t1\t0.5\t1\n{line}\n")
    with pytest.raises(FormatError, match=rf"scores\.tsv:3: .*{problem}"):
        read_scores(path)


def test_another_file_is_told(path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_scores(path)
    for text in ("", HEADER):
        path.write_text(text)
        with pytest.raises(FormatError, match=r"scores\.tsv: the file has no document"):
            read_scores(path)
    path.write_text("q Q0 d 1 0.5 t\n")
    with pytest.raises(FormatError, match=r"scores\.tsv:1: expected the header 'query.t"):
        read_scores(path)
