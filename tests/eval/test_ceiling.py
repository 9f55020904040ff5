"""The ceiling of a run by depth."""

import pytest

from rankprompt.eval import ndcg_at_10
from rankprompt.eval.ceiling import Ceiling, at_depth, ceilings_by_depth

RUN = {"q1": {"a": 4.0, "b": 3.0, "c": 2.0, "d": 1.0}, "q2": {"a": 2.0, "b": 1.0}}
QRELS = {"q1": {"a": 0, "c": 2, "x": 1}, "q2": {"b": 1}}


def test_a_depth_tells_what_its_candidates_hold() -> None:
    assert at_depth(1, RUN, QRELS, lambda _: 0.25) == Ceiling(
        depth=1, judged_share=1 / 2, relevant=0, recall=0, ceiling=0.25
    )
    two = at_depth(2, RUN, QRELS, ndcg_at_10(QRELS))
    # c stays third below the depth; b of q2 comes first.
    best = {"q1": RUN["q1"], "q2": {"b": 2.0, "a": 1.0}}
    assert two.ceiling == pytest.approx(ndcg_at_10(QRELS)(best))
    assert (two.judged_share, two.relevant, two.recall) == (1 / 2, 1 / 2, 1 / 2)


def test_depths_end_with_that_of_the_run() -> None:
    rows = ceilings_by_depth(RUN, QRELS, ndcg_at_10(QRELS), (3, 1, 3, 100))
    assert [row.depth for row in rows] == [1, 3, 4]
    assert [row.depth for row in ceilings_by_depth(RUN, QRELS, lambda _: 0.0)] == [4]
    assert rows[0].ceiling < rows[1].ceiling == rows[2].ceiling
