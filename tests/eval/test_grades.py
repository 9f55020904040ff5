"""Measures that read different judgements of one collection."""

import pytest

from rankprompt.errors import InputError
from rankprompt.eval import Grades, parse_measures, score

RUN = {"q1": {"a": 2.0, "b": 1.0}, "q2": {"c": 1.0}, "q9": {"a": 1.0}}
GRADED = {"q1": {"a": 1, "b": 3}, "q3": {"d": 2}}
BINARY = {"q1": {"b": 1}, "q2": {"c": 1}}
MEASURES = parse_measures(["mrr", "ndcg@10", "recall@2"])


def test_ndcg_reads_the_grades_and_the_others_the_binary_judgements() -> None:
    found = Grades(GRADED, MEASURES, binary=BINARY).score(RUN)
    assert list(found.means) == list(found.by_query) == ["mrr", "ndcg@10", "recall@2"]
    binary = score(RUN, BINARY, [MEASURES[0], MEASURES[2]])
    graded = score(RUN, GRADED, [MEASURES[1]])
    assert found.means == {**binary.means, **graded.means}
    assert found.by_query == {**binary.by_query, **graded.by_query}
    assert (found.missing, found.unjudged_queries) == (("q3",), ("q9",))
    assert Grades(GRADED, MEASURES, binary=BINARY).score(iter(RUN.items())) == found


def test_without_binary_judgements_all_measures_read_the_grades() -> None:
    assert Grades(GRADED, MEASURES).score(RUN) == score(RUN, GRADED, MEASURES)
    assert Grades(GRADED, MEASURES, binary=GRADED).score(RUN) == score(RUN, GRADED, MEASURES)


def test_judgements_that_share_no_query_with_the_run_are_refused() -> None:
    with pytest.raises(InputError, match=r"none is in both \(run: 'q9', 'q1', 'q2'; qrels: 'x'\)"):
        Grades({"x": {"a": 1}}, MEASURES, binary=BINARY).score(RUN)
