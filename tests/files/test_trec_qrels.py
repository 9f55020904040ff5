import ctypes
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.errors import FormatError, InputError
from rankprompt.files import read_qrels

ATOL = ctypes.CDLL(None).atol  # by which trec_eval reads grades
ATOL.restype = ctypes.c_long


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "qrels.trec"


def test_grades_are_read_in_order(path: Path) -> None:
    path.write_text("b 0 d2 -1\nb\t0\td1\t3\na Q0 d1 +2\nb 1 d1 3\n")
    qrels = read_qrels(path)
    assert qrels == {"b": {"d2": -1, "d1": 3}, "a": {"d1": 2}}
    assert list(qrels) == ["b", "a"]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("q 0 d", r"expected 4 columns \(qid iteration docid grade\), found 3"),
        ("q 0 d 1 1", "found 5"),
        ("q 0 d 0.5", "expected a whole number as the grade, found '0.5'"),
        ("q 0 d 1.0.0", "found '1.0.0'"),
        ("q 0 d nan", "found 'nan'"),
        ("q 0 d yes", "found 'yes'"),
        ("p 0 d 2", "document d of query p has grade 2 here and 1 on line 1"),
    ],
)
def test_a_malformed_line_is_told(path: Path, line: str, problem: str) -> None:
    path.write_text(f"p 0 d 1\n{line}\n")
    with pytest.raises(FormatError, match=rf"qrels\.trec:2: .*{problem}"):
        read_qrels(path)


def test_an_empty_or_absent_file_is_told(path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_qrels(path)
    path.write_text("\n")
    with pytest.raises(FormatError, match="empty"):
        read_qrels(path)


@given(st.integers(-(10**17), 10**17), st.sampled_from(["", ".", ".0", ".000"]))
def test_whole_grades_are_read_as_trec_eval_reads_them(grade: int, zeros: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "qrels.trec"
        path.write_text(f"q 0 d {grade}{zeros}\n")
        assert read_qrels(path) == {"q": {"d": ATOL(f"{grade}{zeros}".encode())}}
