from hypothesis import given
from hypothesis import strategies as st

from rankprompt.cascade.students.controls import RandomStudent, first
from rankprompt.cascade.window_scores import WindowQuestion
from tests.cascade.toy_collection import questions


def test_first_takes_them_in_order() -> None:
    assert first(questions("x", "y", "z")) == [0, -1, -2]


@given(st.integers(0, 5), st.permutations(questions(*"abcdef")))
def test_random_draws_the_same_whatever_the_order(seed: int, windows: list[WindowQuestion]) -> None:
    scores = RandomStudent(seed)(windows)
    alone = [RandomStudent(seed)([one])[0] for one in windows]
    assert scores == alone
    assert len(set(scores)) == 6


def test_random_draws_otherwise_for_another_seed_query_or_document() -> None:
    one = questions("a")[0]
    draws = {
        RandomStudent(seed)([other])[0]
        for seed in (0, 1)
        for other in (one, one._replace(query="r"), one._replace(document="e"))
    }
    assert len(draws) == 6
