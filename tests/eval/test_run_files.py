"""Scores of run files, in either order of equal scores, and read in either way."""

from pathlib import Path

import pytest

from rankprompt.errors import InputError, UnknownNameError
from rankprompt.eval import Grades, parse_measures
from rankprompt.eval.run_files import TIES, check_ties, read_run_with_ties, score_run_file

GRADES = Grades({"q1": {"a": 1}, "q2": {"b": 1}}, parse_measures(["mrr"]))
LINES = ["q1 Q0 a 1 2 t\n", "q1 Q0 b 2 2 t\n", "q2 Q0 b 1 1 t\n"]


@pytest.mark.parametrize(("ties", "mrr"), [("docid", 3 / 4), ("order", 1.0)])
def test_equal_scores_are_ordered_as_named(tmp_path: Path, ties: str, mrr: float) -> None:
    together, apart = tmp_path / "together.trec", tmp_path / "apart.trec"
    together.write_text("".join(LINES))
    apart.write_text("".join([LINES[0], LINES[2], LINES[1]]))
    assert score_run_file(together, GRADES, ties).means == {"mrr": mrr}
    assert score_run_file(apart, GRADES, ties) == score_run_file(together, GRADES, ties)
    assert GRADES.score(read_run_with_ties(apart, ties)).means == {"mrr": mrr}


def test_an_unknown_order_is_refused() -> None:
    assert TIES == ("docid", "order")
    for ties in TIES:
        check_ties(ties)
    with pytest.raises(UnknownNameError, match="unknown way to order ties 'rank'"):
        check_ties("rank")


def test_an_error_names_the_file_once(tmp_path: Path) -> None:
    run = tmp_path / "run.trec"
    run.write_text("other Q0 a 1 1 t\n")
    with pytest.raises(InputError) as error:
        score_run_file(run, GRADES, "docid")
    assert str(error.value).startswith(f"{run}: the query ids of the run and of the qrels do not")
    run.write_text("q1 Q0 a one 1 t\n")
    with pytest.raises(InputError) as error:
        score_run_file(run, GRADES, "docid")
    assert str(error.value).count(str(run)) == 1
