"""Which tokenizers read pieces of a text as they stand in it, and where texts are cut."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Regex, pre_tokenizers

from rankprompt.llm.local.text_pieces import PrefixCounter, cut, splits_words
from tests.llm.local.tokenizers_of_all_kinds import make

# Patterns as published, and such as look further than a character or run over lines.
LOCAL = [
    r"(?i:'s|'t)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+(?!\S)|\s+",
    r"[^\s]+|\s+",
    r"\d{1,3}",
]
FURTHER = [
    r"(?<=a)b", r"\p{N}{1,3}(?=(?:\p{N}{3})*$)", r"[^?]+\?", r"\D+", r"\P{N}+", r"(?m:.+)",
]  # fmt: skip


def backend(kind: str) -> Any:
    return make(kind).backend_tokenizer


@pytest.mark.parametrize(
    ("kind", "splits"),
    [
        ("byte level", True),
        ("GPT-4's split", True),
        ("word pieces", True),
        ("Llama 2", False),
        ("looks behind", False),
        ("looks ahead", False),
    ],
)
def test_a_tokenizer_tells_whether_it_looks_further_than_words(kind: str, splits: bool) -> None:
    assert splits_words(backend(kind)) == splits


@pytest.mark.parametrize("pattern", [*LOCAL, *FURTHER])
def test_a_pattern_must_look_no_further_than_a_character(pattern: str) -> None:
    words = backend("byte level")
    split: Any = pre_tokenizers.Split(Regex(pattern), "isolated")
    words.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(False)])
    assert splits_words(words) == (pattern in LOCAL)


def test_a_splitter_that_counts_characters_is_none_of_words() -> None:
    words = backend("byte level")
    words.pre_tokenizer = pre_tokenizers.FixedLength(5)
    assert not splits_words(words)


def test_lines_and_the_last_words_are_pieces() -> None:
    text = "Which?\n\nPassage A: boats\n1. no letter\nOutput A or B:"
    pieces = [text[start:end] for start, end in zip([0, *cut(text, 1)], cut(text, 1), strict=False)]
    assert pieces == ["Which?\n\n", "Passage A: boats\n1. no letter\n", "Output A or", " B:"]
    assert cut("one", 1) == [3]
    # The last piece is long enough.
    assert len(text) - cut(text, 9)[-2] >= 9


@given(st.text(alphabet=" \nAb.é", max_size=30), st.integers(1, 9))
def test_pieces_make_up_the_text(text: str, shortest: int) -> None:
    ends = cut(text, shortest)
    assert ends == sorted(set(ends))
    assert ends[-1] == len(text)
    assert len(ends) == 1 or (ends[0] > 0 and len(text) - ends[-2] >= shortest)


def test_a_prefix_is_counted_by_its_last_word() -> None:
    words = backend("byte level")
    read: list[str] = []

    def encode(text: str) -> Any:
        read.append(text)
        return words.encode(text, add_special_tokens=False)

    text = "The harbour is quiet in the morning, and the boats are still asleep."
    count = PrefixCounter(encode, text)
    for end in (len(text), 20, 34, 1, 0):
        assert count(end) == len(words.encode(text[:end], add_special_tokens=False).ids)
    assert read == [text, " quiet", " mornin", "T", ""]
