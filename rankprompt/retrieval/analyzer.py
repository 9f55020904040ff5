"""Splits texts into the words that BM25 counts, by language.

==================  ==============================================================================
language            words
==================  ==============================================================================
an ISO code, as en  runs of two or more letters, digits and underscores, lower-cased; less bm25s'
                    stop words, where it has a list; stemmed by Snowball
zh                  every Chinese character, and every pair of adjacent ones; other runs of letters
                    and digits are words of any length. Full-width forms become normal ones (NFKC),
                    and all is lower-cased. Japanese and Korean scripts are treated likewise
none                as for an ISO code, without stop words and stemming
==================  ==============================================================================

In every language, a letter and its marks are one character where Unicode has it (NFC), so that the
words of a Mac's decomposed texts are those of any other.

Lucene's analyzer for Chinese makes only pairs, so that a single character matches only where it
stands alone. Single characters in addition to pairs find more (docs/first-stages.md).
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import islice
from typing import TypeAlias

from rankprompt.errors import InputError, UnknownNameError

__all__ = ["LANGUAGES", "Split", "guess_language", "words"]

Split: TypeAlias = Callable[[Sequence[str]], list[list[str]]]
"""Returns the words of each text, in the order of the texts."""

_STEMMERS = {
    "ar": "arabic", "ca": "catalan", "da": "danish", "de": "german", "el": "greek",
    "en": "english", "es": "spanish", "eu": "basque", "fi": "finnish", "fr": "french",
    "ga": "irish", "hu": "hungarian", "hy": "armenian", "id": "indonesian", "it": "italian",
    "lt": "lithuanian", "nl": "dutch", "no": "norwegian", "pt": "portuguese", "ro": "romanian",
    "ru": "russian", "sr": "serbian", "sv": "swedish", "tr": "turkish", "yi": "yiddish",
}  # fmt: skip
"""The stemmers of PyStemmer 2.2, without the languages whose vowel signs split words in bm25s (hi,
ne, ta)."""
_STOP_WORDS = {"da", "de", "en", "es", "fr", "it", "nl", "no", "pt", "ru", "sv", "tr"}

LANGUAGES = (*_STEMMERS, "none", "zh")
"""The languages that ``words`` supports."""

# Ideographs with their marks, kana, Hangul syllables.
_CJK = (
    "\u3005\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U000323af"
)
_RUNS = re.compile(rf"([{_CJK}]+)|((?:(?![{_CJK}])\w)+)")
_GUESSED_FROM = 100
_LATIN_ENDS = "\u0250"


def words(language: str) -> Split:
    """Returns the function that splits texts of a language into words.

    Args:
        language: one of ``LANGUAGES``.

    Raises:
        UnknownNameError: the language is not one of them.
    """
    if language == "zh":
        return _split_chinese
    if language not in LANGUAGES:
        raise UnknownNameError("language", language, LANGUAGES)
    return partial(_split_at_spaces, language=language)


def guess_language(queries: Iterable[str]) -> str:
    """Guesses the language of a collection from its first 100 queries.

    Returns:
        "zh" if more than 3 of 10 letters are Chinese, Japanese or Korean; "en" if most of the
        other letters are Latin, or if there are no letters.

    Raises:
        InputError: most letters belong to another script.
    """
    composed = (unicodedata.normalize("NFC", text) for text in islice(queries, _GUESSED_FROM))
    letters = [char for text in composed for char in text if char.isalpha()]
    if 10 * sum(bool(re.match(f"[{_CJK}]", letter)) for letter in letters) > 3 * len(letters):
        return "zh"
    if 2 * sum(letter < _LATIN_ENDS for letter in letters) < len(letters):
        raise InputError(
            f"cannot tell the queries' language; give `language`, one of {', '.join(LANGUAGES)}"
        )
    return "en"


def _split_at_spaces(texts: Sequence[str], language: str) -> list[list[str]]:
    import bm25s
    import Stemmer

    tokens: list[list[str]] = bm25s.tokenize(
        [unicodedata.normalize("NFC", text) for text in texts],
        stopwords=language if language in _STOP_WORDS else None,
        stemmer=None if language == "none" else Stemmer.Stemmer(_STEMMERS[language]),
        return_ids=False,
        show_progress=False,
    )
    return tokens


def _split_chinese(texts: Sequence[str]) -> list[list[str]]:
    return [list(_chinese_words(text)) for text in texts]


def _chinese_words(text: str) -> Iterable[str]:
    for run, word in _RUNS.findall(unicodedata.normalize("NFKC", text).lower()):
        if word:
            yield word
        yield from run
        yield from (run[start : start + 2] for start in range(len(run) - 1))
