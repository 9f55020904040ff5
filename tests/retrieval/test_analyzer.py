import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.errors import InputError, UnknownNameError
from rankprompt.retrieval.analyzer import LANGUAGES, guess_language, words


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "The Whales' singing, 2 of 40 seas", "whale sing 40 sea"),
        ("de", "Die Häuser und der Fluss", "haus fluss"),
        ("fi", "taloissa", "talo"),
        ("none", "The Whales' singing", "the whales singing"),
        ("zh", "睡觉", "睡 觉 睡觉"),
        ("zh", "鹤", "鹤"),
        ("zh", "鹤，睡觉。", "鹤 睡 觉 睡觉"),
        ("zh", "C语言 GPT-4是什么", "c 语 言 语言 gpt 4 是 什 么 是什 什么"),
        ("zh", "ＡＢＣ１２", "abc12"),
        ("zh", "かなﾜｰﾄﾞ", "か な ワ ー ド かな なワ ワー ード"),
        ("zh", "𠀀𠀁", "𠀀 𠀁 𠀀𠀁"),
        ("zh", " ?！\n", ""),
    ],
)
def test_a_text_is_split_by_its_language(language: str, text: str, expected: str) -> None:
    assert words(language)([text]) == [expected.split()]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_keeps_the_order_of_the_texts(language: str) -> None:
    assert words(language)(["", "zzyzx", "?"]) == [[], words(language)(["zzyzx"])[0], []]
    assert words(language)([]) == []
    assert len(words(language)(["zzyzx"])[0]) == 1


@given(st.text(st.characters(max_codepoint=0x1FFF) | st.sampled_from("가각한é")), st.data())
def test_composed_and_decomposed_texts_have_the_same_words(text: str, data: st.DataObject) -> None:
    split = words(data.draw(st.sampled_from(LANGUAGES)))
    composed, decomposed = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    assert split([composed]) == split([decomposed])


def test_an_unknown_language_is_answered_with_those_there_are() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown language 'cn'.* Known: ar, ca, .*zh"):
        words("cn")


@pytest.mark.parametrize(
    ("queries", "language"),
    [
        (["why is the sea salt"], "en"),
        (["warum ist das Meer salzig"], "en"),  # which is why the guess is said aloud
        (["海水为什么是咸的"], "zh"),
        (["python怎么安装"], "zh"),
        ([unicodedata.normalize("NFD", "바닷물은 왜 짠가")], "zh"),
        (["北京 2008"], "zh"),
        (["2008", "?"], "en"),
        ([], "en"),
        (["how to say 海 in English, please"], "en"),
        (["why"] * 100 + ["海水为什么是咸的"] * 900, "en"),
    ],
)
def test_the_language_is_guessed_from_the_first_queries(queries: list[str], language: str) -> None:
    assert guess_language(queries) == language


def test_letters_that_are_neither_are_no_guess() -> None:
    with pytest.raises(InputError, match="cannot tell the queries' language; give `language`"):
        guess_language(["почему море солёное"])
