import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.rankers import seeded_random
from rankprompt.rankers.seeded_random import uniform


@given(st.integers(), st.lists(st.text()))
def test_a_draw_is_a_function_of_seed_and_parts(seed: int, parts: list[str]) -> None:
    draw = uniform(seed, *parts)
    assert 0 <= draw < 1
    assert uniform(seed, *parts) == draw


def test_a_draw_is_the_same_on_every_machine() -> None:
    assert uniform(7, "order", "q1", "d1", "d2") == 0.17775491732441973


def test_seed_and_parts_each_matter_and_so_do_their_bounds() -> None:
    draws = [
        uniform(0, "ab", "c"),
        uniform(0, "a", "bc"),
        uniform(0, "abc"),
        uniform(1, "ab", "c"),
        uniform(0, "c", "ab"),
        uniform(0, "ab", "c", ""),
    ]
    assert len(set(draws)) == len(draws)


def test_draws_are_spread_evenly() -> None:
    counts = [0] * 10
    for number in range(5000):
        counts[int(10 * uniform(3, str(number)))] += 1
    assert min(counts) > 400
    assert max(counts) < 600


def test_the_highest_draw_is_below_one(monkeypatch: pytest.MonkeyPatch) -> None:
    class Highest:
        def __init__(self, _: bytes, *, digest_size: int) -> None:
            self._size = digest_size

        def digest(self) -> bytes:
            return b"\xff" * self._size

    monkeypatch.setattr(seeded_random, "blake2b", Highest)
    assert 0.999 < uniform(0) < 1
