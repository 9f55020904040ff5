from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from rankprompt.distil.pairs import Taught, draw, draw_questions
from rankprompt.types import Candidates, Document, PairwiseQuestion, Query


def candidates(sizes: list[int]) -> list[Candidates]:
    return [
        Candidates(
            Query(f"q{number}", "text"),
            tuple(Document(f"d{place}", "text") for place in range(size)),
            tuple(map(float, range(size, 0, -1))),
        )
        for number, size in enumerate(sizes)
    ]


def pair(question: PairwiseQuestion) -> tuple[str, frozenset[str]]:
    return question.query.id, frozenset((question.first.id, question.second.id))


SIZES = st.lists(st.integers(0, 7), min_size=1, max_size=6)


@given(SIZES, st.integers(1, 60), st.integers(0, 100))
def test_pairs_are_drawn_once_and_evenly(sizes: list[int], number: int, seed: int) -> None:
    drawn = draw_questions(candidates(sizes), number, seed)
    assert all(one.first != one.second for one in drawn)
    assert len({pair(one) for one in drawn}) == len(drawn)
    pools = {f"q{place}": size * (size - 1) // 2 for place, size in enumerate(sizes)}
    assert len(drawn) == min(number, sum(pools.values()))
    counts = Counter(one.query.id for one in drawn)
    # A query with fewer pairs than another has given all that it has, but for the rounding.
    most = max(counts.values(), default=0)
    assert all(counts[query] >= min(pool, most - 1) for query, pool in pools.items())
    assert drawn == draw_questions(candidates(sizes), number, seed)


def test_every_pair_and_both_directions_may_be_drawn() -> None:
    every = draw_questions(candidates([5]), 100, 0)
    assert len({pair(one) for one in every}) == 10
    directions = [one.first.id < one.second.id for one in draw_questions(candidates([40]), 400, 1)]
    assert 140 < sum(directions) < 260
    assert draw_questions(candidates([40]), 50, 1) != draw_questions(candidates([40]), 50, 2)


@given(SIZES, st.integers(1, 60))
def test_pairs_of_a_journal_are_drawn_as_evenly(sizes: list[int], number: int) -> None:
    every = [Taught(one, 0.9) for one in draw_questions(candidates(sizes), 1000, 0)]
    drawn = draw(every, number, seed=3)
    assert len(drawn) == len({pair(one.question) for one in drawn}) == min(number, len(every))
    assert {pair(one.question) for one in drawn} <= {pair(one.question) for one in every}
    assert drawn == draw(every, number, seed=3)
