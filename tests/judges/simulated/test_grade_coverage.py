"""An oracle's grades of other queries are told; end to end, as the run is written after that."""

import logging
from pathlib import Path

import pytest

from rankprompt.errors import InputError
from rankprompt.judges.simulated.grade_coverage import GradeCoverage
from rankprompt.pipeline.rerank import run_rerank
from tests.configs import change, configure

QUERIES = ("t1", "t2", "t3")


def job(folder: Path, grades: str) -> dict[str, object]:
    """The files of three queries with two documents each."""
    (folder / "queries.tsv").write_text("".join(f"{q}\ttext of {q}\n" for q in QUERIES))
    (folder / "docs.tsv").write_text("x\tfirst\ny\tsecond\n")
    lines = [f"{q} Q0 {d} {i} {9 - i} s\n" for q in QUERIES for i, d in enumerate("xy")]
    (folder / "run.trec").write_text("".join(lines))
    (folder / "grades.trec").write_text(grades)
    return {
        "run": folder / "run.trec",
        "queries": folder / "queries.tsv",
        "docs": folder / "docs.tsv",
        "output": folder / "out.trec",
        "model": f"oracle:{folder / 'grades.trec'}",
        "method": "allpair",
    }


@pytest.mark.parametrize("method", ["allpair", "heapsort", "setwise-heapsort", "listwise"])
def test_grades_of_other_queries_are_refused(tmp_path: Path, method: str) -> None:
    config = configure(**job(tmp_path, "101 0 x 0\n101 0 y 3\n") | {"method": method})
    with pytest.raises(InputError, match=r"grades\.trec: no query of the run has a grade there"):
        run_rerank(config)
    assert not (tmp_path / "out.trec").exists()


def test_a_limit_counts_only_the_queries_that_it_takes(tmp_path: Path) -> None:
    config = configure(**job(tmp_path, "t3 0 y 2\n"))
    with pytest.raises(InputError, match=r"\(t1, t2\); give the grades of these queries"):
        run_rerank(change(config, limit=2))
    run_rerank(config)
    assert (tmp_path / "out.trec").read_text().splitlines()[4].startswith("t3 Q0 y 1 ")


def test_queries_without_grades_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        run_rerank(configure(**job(tmp_path, "t1 0 y 2\n")))
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path / 'grades.trec'}: queries without grades, which keep the run's order: "
        "2 of 3, t2, t3"
    ]


def test_grades_of_other_documents_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        run_rerank(configure(**job(tmp_path, "".join(f"{q} 0 other 1\n" for q in QUERIES))))
    assert "none of the candidates has a grade" in caplog.text


def test_grades_of_all_queries_and_a_run_without_queries_are_silent(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        run_rerank(configure(**job(tmp_path, "".join(f"{q} 0 y 1\n" for q in QUERIES))))
        GradeCoverage(tmp_path / "grades.trec", {}).finish()
    assert not caplog.records
