import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.cascade.aggregation import join_slices
from rankprompt.cascade.windows import UNITS, Window, WindowConfig, cut_windows
from rankprompt.errors import InputError, ModelError
from rankprompt.llm import embedded
from rankprompt.llm.tokenizer_offsets import model_offsets, word_offsets
from tests.llm import tiny

TEXTS = st.lists(
    st.sampled_from(
        ["fox", "Fox", "a", ".", ". ", "! ", "\n\n", "\n", "  ", "鹤", "。", "e\u0301"]
    ),
    max_size=60,
).map(" ".join) | st.text(max_size=80)
CONFIGS = st.builds(
    WindowConfig,
    window=st.integers(1, 12),
    overlap=st.integers(0, 14),
    tokens=st.integers(1, 40),
    window_unit=st.sampled_from(UNITS),
)


def words(count: int) -> str:
    return " ".join(f"w{number}" for number in range(count))


@given(TEXTS, CONFIGS)
def test_central_parts_tile_the_tokens_and_slices_hold_them(
    text: str, config: WindowConfig
) -> None:
    tokens = word_offsets(text)
    windows, cut = cut_windows(text, word_offsets, config)
    read = min(len(tokens), config.tokens)
    assert cut == (len(tokens) > config.tokens)
    assert [windows[0].first, *(one.last for one in windows)] == [
        *(one.first for one in windows),
        read,
    ]
    for one in windows:
        assert one.last - one.first <= config.window
        assert (one.last > one.first) == bool(tokens)  # none of padding alone
        assert 0 <= one.start <= one.end <= len(text)
        shown = config.overlap if config.window_unit == "tokens" else 0
        first, last = max(0, one.first - shown), min(read, one.last + shown)
        assert word_offsets(text[one.start : one.end]) == [
            (start - one.start, end - one.start) for start, end in tokens[first:last]
        ]
    assert windows[0].start == 0
    whole = text[: tokens[config.tokens - 1][1]] if cut else text
    assert join_slices(text, [one[:2] for one in windows]) == whole


@given(TEXTS, st.sampled_from(UNITS))
def test_a_text_that_fits_into_one_window_is_one_window(text: str, unit: str) -> None:
    config = WindowConfig(window=max(1, len(word_offsets(text))), window_unit=unit)
    windows, cut = cut_windows(text, word_offsets, config)
    assert [one[:2] for one in windows] == [(0, len(text))]
    assert not cut


def test_the_papers_windows() -> None:
    text = words(120)
    windows, cut = cut_windows(text, word_offsets, WindowConfig())
    shown = [text[one.start : one.end].split() for one in windows]
    assert [(one[0], one[-1]) for one in shown] == [
        ("w0", "w56"), ("w43", "w106"), ("w93", "w119"),
    ]  # fmt: skip
    assert len(shown[1]) == 64
    assert not cut


@pytest.mark.parametrize("text", ["", "  \n\t ", "word", " word "])
def test_a_text_of_no_token_or_one_is_one_window(text: str) -> None:
    windows, cut = cut_windows(text, word_offsets, WindowConfig())
    assert windows == [Window(0, len(text), 0, len(text.split()))]
    assert not cut


def test_a_long_text_is_cut_without_tokenising_all_of_it() -> None:
    text, read = words(100_000), []

    def offsets(part: str) -> list[tuple[int, int]]:
        read.append(len(part))
        return word_offsets(part)

    windows, cut = cut_windows(text, offsets, WindowConfig())
    assert cut
    assert len(windows) == 40
    assert text[windows[-1].start : windows[-1].end].split()[-1] == "w1999"
    assert sum(read) < 40_000


def test_a_long_text_of_long_words_is_tokenised_whole() -> None:
    text = " ".join(["x" * 100] * 300)
    windows, cut = cut_windows(text, word_offsets, WindowConfig(tokens=200))
    assert cut
    assert len(windows) == 4
    assert windows[-1].end == 200 * 101 - 1


def shown(text: str, size: int, unit: str) -> list[str]:
    windows, _ = cut_windows(text, word_offsets, WindowConfig(window=size, window_unit=unit))
    return [text[one.start : one.end].strip() for one in windows]


def test_sentences_stay_whole_where_they_fit() -> None:
    text = 'One two. "Three four?" Five six seven eight nine ten. Eleven'
    # Stops and quotation marks are tokens, too: eight and eight.
    two = ['One two. "Three four?"', "Five six seven eight nine ten. Eleven"]
    assert shown(text, 8, "sentences") == shown(text, 14, "sentences") == two
    assert shown(text, 16, "sentences") == [text]


def test_chinese_sentences_end_without_a_space() -> None:
    text = "鹤单腿站。“为什么？”它冷！"
    assert shown(text, 6, "sentences") == ["鹤单腿站。", "“为什么？”", "它冷！"]


def test_a_sentence_that_is_too_long_is_cut() -> None:
    assert shown("a b c d e f g. H.", 3, "sentences") == ["a b c", "d e f", "g.", "H."]


def test_paragraphs_end_at_blank_lines_or_else_at_lines() -> None:
    assert shown("a b\nc\n \nd e\n\n\nf", 3, "paragraphs") == ["a b\nc", "d e\n\n\nf"]
    assert shown("a b\nc d\ne f", 3, "paragraphs") == ["a b", "c d", "e f"]
    assert shown("a b\nc d\ne f", 4, "paragraphs") == ["a b\nc d", "e f"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window": 0}, "`window` must be at least 1, not 0"),
        ({"overlap": -1}, "`overlap` must be at least 0, not -1"),
        ({"tokens": 0}, "`tokens` must be at least 1, not 0"),
        ({"window_unit": "sentence"}, "unknown `window_unit` 'sentence'; did you mean 'sentences'"),
    ],
)
def test_settings_out_of_range_are_told(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        WindowConfig(**settings)  # type: ignore[arg-type]


@given(st.text(alphabet="abc .\n鹤é𝛼👩‍🚀", max_size=60))
def test_by_bytes_every_window_is_a_slice_and_all_make_the_text(text: str) -> None:
    tokenizer: Any = tiny.tokenizer()

    def offsets(part: str) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = tokenizer._tokenizer.encode(part).offsets
        return found

    windows, _ = cut_windows(text, offsets, WindowConfig(window=2, overlap=1))
    assert all(one.start <= other.start <= one.end for one, other in pairwise(windows))
    assert join_slices(text, [one[:2] for one in windows]) == text


def test_a_models_folder_tells_offsets(tmp_path: Path) -> None:
    tiny.tokenizer().save_pretrained(tmp_path)
    text = "The harbour is quiet. 鹤"
    offsets = model_offsets(str(tmp_path))(text)
    assert re.sub(r"\s", "", "".join(text[a:b] for a, b in offsets[:4])) in "Theharbourisquiet."
    assert offsets[-1][1] == len(text)
    with pytest.raises(ModelError, match="no such file or folder"):
        model_offsets(str(tmp_path / "absent"))
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(ModelError, match=r"cannot read .*tokenizer\.json"):
        model_offsets(str(tmp_path))


@pytest.mark.model
def test_the_embedded_models_tokenizer_tells_offsets() -> None:
    offsets = model_offsets(embedded.EMBEDDED)("quiet harbour")
    assert offsets[-1][1] == len("quiet harbour")
