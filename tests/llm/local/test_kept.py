"""What is kept stays within its limit, the latest last."""

from hypothesis import given
from hypothesis import strategies as st

from rankprompt.llm.local.kept import Kept


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 6)), max_size=30))
def test_the_oldest_are_forgotten(put: list[tuple[int, int]]) -> None:
    kept: Kept[int, str] = Kept(10)
    expected: dict[int, int] = {}
    for key, size in put:
        kept.keep({key: f"{key}"}, {key: size})
        expected.setdefault(key, size)
        while sum(expected.values()) > 10:
            del expected[next(iter(expected))]
        assert kept.find(range(10)) == {one: f"{one}" for one in sorted(expected)}
