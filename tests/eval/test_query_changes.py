"""Gains and losses, and what made them."""

from hypothesis import given
from hypothesis import strategies as st

from rankprompt.eval.query_changes import Moved, changes, largest

BASELINE = {"q1": {"a": 3.0, "b": 2.0, "c": 1.0}, "q2": {"a": 2.0, "b": 1.0}, "q3": {"x": 1.0}}
RUN = {"q1": {"c": 3.0, "a": 2.0, "d": 1.0}, "q2": {"b": 2.0, "a": 1.0}}
QRELS = {"q1": {"c": 3, "a": 0, "d": 1}, "q2": {"a": 1, "b": 0}, "q3": {"x": 1}}
BEFORE = {"q1": 0.2, "q2": 0.9, "q3": 1.0}
AFTER = {"q1": 0.8, "q2": 0.4, "q3": 0.0}


def test_the_largest_gains_and_losses_say_what_moved() -> None:
    gains, losses = changes(BASELINE, RUN, QRELS, BEFORE, AFTER, texts={"q1": "why"}, k=3)
    (gain,) = gains
    assert (gain.query, gain.text, round(gain.difference, 9)) == ("q1", "why", 0.6)
    assert gain.moved == (
        Moved("c", 3, 3, 1),
        Moved("d", 1, None, 3),
        Moved("a", 0, 1, 2),
        Moved("b", None, 2, None),
    )
    assert (gain.unjudged_before, gain.unjudged_after) == (1, 0)
    assert [(one.query, one.text) for one in losses] == [("q3", None), ("q2", None)]
    assert losses[0].moved == (Moved("x", 1, 1, None),)


def test_only_the_top_is_looked_into() -> None:
    (gain,), _ = changes(BASELINE, RUN, QRELS, BEFORE, AFTER, k=1)
    assert [one.document for one in gain.moved] == ["c", "a"]
    assert (gain.unjudged_before, gain.unjudged_after) == (0, 0)


def test_ranks_are_those_that_the_scores_are_computed_by() -> None:
    tied, parted = {"q": {"a": 1.0, "b": 1.0}}, {"q": {"a": 2.0, "b": 1.0}}
    (gain,), _ = changes(tied, parted, {"q": {"a": 1}}, {"q": 0.5}, {"q": 1.0})
    assert gain.moved == (Moved("a", 1, 2, 1), Moved("b", None, 1, 2))


values = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20)


@given(values, st.integers(1, 25))
def test_gains_and_losses_are_the_largest_in_order(
    pairs: list[tuple[float, float]], most: int
) -> None:
    before = {f"q{place}": one for place, (one, _) in enumerate(pairs)}
    after = {f"q{place}": other for place, (_, other) in enumerate(pairs)}
    gaps = {query: after[query] - before[query] for query in before}
    gains, losses = largest(before, after, most)
    up = sorted((gap for gap in gaps.values() if gap > 0), reverse=True)
    down = sorted(gap for gap in gaps.values() if gap < 0)
    assert [gaps[query] for query in gains] == up[:most]
    assert [gaps[query] for query in losses] == down[:most]
