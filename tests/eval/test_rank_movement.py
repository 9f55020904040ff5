"""Where relevant documents went."""

from hypothesis import given
from hypothesis import strategies as st

from rankprompt.eval.rank_movement import BANDS, band, movement, ranks_of

names = st.sampled_from([f"d{place}" for place in range(8)])
rankings = st.dictionaries(names, st.integers(0, 5).map(float), max_size=8)
grades = st.dictionaries(names, st.integers(-1, 3), max_size=8)


def test_each_relevant_document_is_counted_where_it_was_and_where_it_is() -> None:
    before = {"q": {"a": 5.0, "b": 4.0, "c": 3.0, "d": 2.0}}
    after = {"q": {"d": 5.0, "c": 4.0, "b": 3.0, "new": 2.0}}
    qrels = {"q": {"a": 2, "b": 0, "c": 1, "d": 3, "new": 1, "never": 1}}
    found = movement(before, after, qrels)
    assert (found.up, found.same, found.down) == (3, 0, 1)
    cells = {
        (BANDS[row], BANDS[column]): count
        for row, counts in enumerate(found.counts)
        for column, count in enumerate(counts)
        if count
    }
    assert cells == {
        ("1", "absent"): 1,
        ("2-3", "2-3"): 1,
        ("4-5", "1"): 1,
        ("absent", "4-5"): 1,
        ("absent", "absent"): 1,
    }


def test_the_bands_cover_every_rank_once() -> None:
    named = [BANDS[band(rank)] for rank in (1, 2, 3, 4, 5, 6, 10, 11, 20, 21, 50, 51, 100, 101)]
    assert named == [
        "1", "2-3", "2-3", "4-5", "4-5", "6-10", "6-10", "11-20", "11-20", "21-50", "21-50",
        "51-100", "51-100", "over 100",
    ]  # fmt: skip
    assert BANDS[band(None)] == "absent"


@given(rankings, rankings, grades)
def test_the_counts_add_up_and_turn_round_with_the_runs(
    one: dict[str, float], other: dict[str, float], of: dict[str, int]
) -> None:
    found = movement({"q": one}, {"q": other}, {"q": of})
    back = movement({"q": other}, {"q": one}, {"q": of})
    relevant = {name for name, grade in of.items() if grade > 0}
    assert sum(map(sum, found.counts)) == len(relevant)
    assert found.up + found.same + found.down == len(relevant & (one.keys() | other.keys()))
    assert (found.up, found.same, found.down) == (back.down, back.same, back.up)
    assert found.counts == tuple(zip(*back.counts, strict=True))


def test_ranks_are_from_one_in_the_order_of_trec_eval() -> None:
    assert ranks_of({"a": 1.0, "b": 2.0, "c": 1.0}) == {"b": 1, "c": 2, "a": 3}
