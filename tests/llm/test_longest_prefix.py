"""Texts are cut alike by all back ends, and of a long one only a beginning is read."""

from hypothesis import given
from hypothesis import strategies as st

from rankprompt.llm.longest_prefix import cut_to_fit


@given(length=st.integers(0, 3000), tokens=st.integers(0, 60), width=st.integers(1, 90))
def test_a_text_is_cut_where_one_character_more_does_not_fit(
    length: int, tokens: int, width: int
) -> None:
    text = "a" * length
    asked: list[int] = []

    def fits(end: int) -> bool:
        asked.append(end)
        return -(-end // width) <= tokens  # a token has so many characters

    assert len(cut_to_fit(text, tokens, fits)) == min(length, tokens * width)
    assert max(asked) <= max(16, 16 * tokens, 2 * tokens * width)


def test_of_a_text_of_megabytes_only_a_beginning_is_read() -> None:
    asked: list[int] = []

    def fits(end: int) -> bool:
        asked.append(end)
        return end <= 2000

    assert len(cut_to_fit("a" * 8_000_000, 500, fits)) == 2000
    assert max(asked) == 8000
