"""Finds the choice that a written answer states, and never guesses one.

A label in a sentence is no verdict: "Passage A is not relevant", "The text says 'Passage A'" and
"Passage A discusses" name a passage and choose none. So a sentence counts only if, beside the
option, it consists of words that state a choice ("The more relevant passage is", "is the best
answer to the query"); an answer counts only if all such sentences state the same option.
"""

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import takewhile
from unicodedata import normalize

from rankprompt.llm.base import Answer
from rankprompt.llm.lead_words import AGAINST, COMPARES, DOUBT, LEAD, LETTER, MARKUP, RETRACTS
from rankprompt.llm.reasoning import strip_reasoning

__all__ = ["Choices", "choices_of", "clean"]

_TAIL_WORDS = (
    f"{COMPARES}|and|answers|appropriate|as|by|choice|clearly|definitely|directly|document|far|"
    "fits|for|given|has|helpful|higher|highest|in|informative|is|it|matches|much|my|of|one|option|"
    "other|overall|passage|query|question|relevance|relevant|score|search|seems|appears|selection|slightly|suitable|"
    "suited|than|the|these|this|to|two|useful|user|user's|would|be|your"
)
_TAIL_ZH = (
    "(?:与|和|对|跟)?(?:该|此|给定|这个)?(?:查询|问题)?(?:是)?(?:更加?|最)(?:为)?(?:相关|合适|好)"
    "(?:的)?(?:段落|文档|文章|答案)?"
)
_BECAUSE = r"(?:[,;:，；：(—–-]*\s*(?:(?:because|since|as it|given that|due to)\b|因为|由于).*)"
_REASON = re.compile(r"\b(?:because|since|as it|given that|due to)\b|因为|由于")
_NEITHER = re.compile(r"\b(?:neither|none of|no passage|tie|tied)\b|都不|both passages are", re.I)
_DENYING_HEADING = re.compile(rf"{DOUBT}|{AGAINST}|think|thought|reason|analy", re.I)
_NEGATIVE = re.compile(r"(?:no|not|none|never|nothing|false|ir|un)|不|没|否|无", re.I)
# A sentence ends at a line's end, or after a mark that a space or the end of the text follows.
_SENTENCE = re.compile(r"(?P<body>(?:[^\n.!?。！？]|[.](?=[^\s]))+)(?P<end>[.!?。！？]+|\n|$)")


def clean(answer: Answer) -> str:
    """An answer's text without reasoning, full-width letters as plain ones; "" for no answer."""
    # Chinese models may write full-width letters.
    return normalize("NFKC", strip_reasoning(answer.text) or "")


class Choices:
    """The options of a question, and how an answer states one of them.

    Options that end with a label, such as "Passage A", must be stated as a choice ("is more
    relevant"); options in words, such as "Yes" and "Barely", may have words after them.

    Args:
        options: for each option, the ways in which it may be written. White space in it stands for
            any white space; a single letter must match in case, because "a" is an article.
    """

    def __init__(self, options: Sequence[Sequence[str]]) -> None:
        columns = zip(*(spellings[0] for spellings in options), strict=False)
        common = sum(1 for _ in takewhile(lambda letters: len(set(letters)) == 1, columns))
        in_words = any(len(spellings[0][common:].strip("[]() .")) > 2 for spellings in options)
        self._named = [_named(spellings) for spellings in options]
        self._stated = [
            re.compile("|".join(_stated(spelling, in_words) for spelling in spellings), re.S)
            for spellings in options
        ]

    def find(self, text: str, *, cut: bool = False) -> int | None:
        """The index of the option that a cleaned text states; None where it states none or two.

        Args:
            text: the answer, as ``clean`` gives it.
            cut: whether the token limit ended it, so that its last sentence is not whole.
        """
        if text.lstrip().startswith("{"):
            return self._find_in_json(text)
        stated: set[int] = set()
        heading = ""
        sentences = list(_SENTENCE.finditer(text))
        for number, sentence in enumerate(sentences):
            body, end = sentence["body"], sentence["end"]
            if RETRACTS.match(body) if stated else _NEITHER.search(body):
                return None
            more = any(later["body"].strip() for later in sentences[number + 1 :])
            chosen = self._stated_by(body, whole=bool(end) or not cut)
            # "Passage A:" above a text is a section; "Less relevant:" denies what follows.
            section = more and (re.search(r"[:：]\W*$", body) or re.match(r"\s*#", body))
            denied = heading.endswith((":", "：")) and _DENYING_HEADING.search(heading)
            if chosen is not None and not (section or denied or "?" in end or "？" in end):
                stated.add(chosen)
            if body.strip():
                heading = body.rstrip(" *_")
        return stated.pop() if len(stated) == 1 else None

    def _find_in_json(self, text: str) -> int | None:
        """The option that a JSON object holds, under a key that does not deny it."""
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError):
            return None
        stated = {
            self._stated_by(value, whole=True)
            for key, value in fields.items()
            if isinstance(value, str) and not _DENYING_HEADING.search(key)
        } - {None}
        return stated.pop() if len(stated) == 1 else None

    def _stated_by(self, sentence: str, *, whole: bool) -> int | None:
        """The option that a sentence states; one that is cut off must have come to its reasons."""
        named = self._options_in(sentence)
        if not whole and not _REASON.search(sentence):
            return None
        if len(named) == 1 and self._stated[named[0]].fullmatch(sentence):
            return named[0]
        return None

    def _options_in(self, text: str) -> list[int]:
        """The options that a text names; "not relevant" does not name "relevant"."""
        spans = [
            (match.end() - match.start(), match.span(), index)
            for index, pattern in enumerate(self._named)
            for match in pattern.finditer(text)
        ]
        named: set[int] = set()
        taken: list[tuple[int, int]] = []
        for _, (start, end), index in sorted(spans, reverse=True):
            if not any(first <= start and end <= last for first, last in taken):
                taken.append((start, end))
                named.add(index)
        return sorted(named)


@lru_cache(maxsize=64)
def choices_of(options: tuple[tuple[str, ...], ...]) -> Choices:
    """The choices, cached: a run has only a few different ones."""
    return Choices(options)


def _spelling(text: str) -> str:
    pattern = ""
    for word in text.split():
        if len(word) == 1:
            # "Passage A" may lack its space. The pronoun is no label.
            pronoun = r"(?!['’]|\s+(?:am|choose|have|pick|say|select|think|will|would)\b)"
            pattern += rf"\s*{re.escape(word)}{pronoun if word == 'I' else ''}"
        else:
            space = r"\s+" if pattern else ""
            pattern += f"{space}(?i:{re.escape(word)})"
    return pattern.removeprefix(r"\s*")


def _named(spellings: Sequence[str]) -> re.Pattern[str]:
    names = "|".join(map(_spelling, sorted(spellings, key=len, reverse=True)))
    return re.compile(f"(?<!{LETTER})(?:{names})(?!{LETTER})")


def _stated(spelling: str, in_words: bool) -> str:
    """The pattern of a sentence that chooses an option."""
    if in_words:
        doubt = "" if _NEGATIVE.match(spelling) else rf"(?!.*(?i:{DOUBT}))"
        words = rf"(?i:(?:{MARKUP}\b(?:{_TAIL_WORDS})\b)+|吧)?"
        tail = rf"{doubt}(?:{words}|\s*[,;:，；：—–-]\s*.*)(?i:{_BECAUSE})?"
    else:
        # "A better passage" chooses nothing: after a bare letter the sentence goes on with "is".
        starts = r"(?=\s*is\b)" if len(spelling) == 1 else ""
        chooses = rf"(?=.*\b(?:{COMPARES})\b)(?:{MARKUP}\b(?:{_TAIL_WORDS})\b)+"
        tail = rf"(?i:{starts}{chooses}|\s*{_TAIL_ZH}|吧)?(?i:{_BECAUSE})?"
    return (
        rf"{MARKUP}{LEAD}{MARKUP}{_spelling(spelling)}(?!{LETTER}){MARKUP}{tail}"
        rf"{MARKUP}[,;:，；：]?{MARKUP}"
    )
