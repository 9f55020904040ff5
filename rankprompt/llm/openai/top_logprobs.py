"""Reads a choice among options from the most likely tokens that a server lists.

A token is compared with the options at the position where they differ: of " Passage A" and
" Passage B", at "A" or "B". Everything is compared as bytes, because a token may be a fragment of a
character.
"""

import math
import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import takewhile

from rankprompt.llm.lead_words import LEAD, LETTER, MARKUP
from rankprompt.llm.openai.listing import Position
from rankprompt.llm.openai.mentions import SENTENCE_END, is_denied_above, is_mention
from rankprompt.llm.openai.spelling import Match, Spelling, sum_by_option

__all__ = [
    "Options",
    "parse_options",
    "read_next",
    "read_options",
]

# What may surround a bare "A".
_MARKUP = "*_`'\"()[]"
_GRADES = re.compile(r"[\d\s]+|[YN\s]+|[TF\s]+|[是否\s]+|[对错\s]+|[有无\s]+", re.I)
_BEFORE = re.compile(MARKUP + LEAD)


class Options:
    """Two or more options, and where they differ.

    " Passage A" and " Passage B" share the word "Passage"; the rest, "A" and "B", is their bare
    form. A single letter must match in case ("a" is an article), other words need not.

    Attributes:
        stem: what all options begin with, up to a space; it can be moved to the prompt's end.
        rests: the options without the stem.
        prefix: what is generated at most before the options can be told apart.
        nested: whether an option begins another one, as 1 begins 10.
        same_letters: how many letters of the first word that differs are the same.
        bare: the options' bare forms, to compare tokens with.
        plain: whether the first token of a rest tells the options apart. Digits may come with a
            token for the space before them; of options that begin others, the next token tells
            which one was meant.
    """

    def __init__(self, options: Sequence[str]) -> None:
        words = [option.split() for option in options]
        same = 0
        while all(same < len(one) - 1 and one[same] == words[0][same] for one in words):
            same += 1
        common = _common_prefix(options)
        spaces = [match.start() for match in re.finditer(r"\s+", common)]
        self.stem = common[: spaces[-1]] if spaces else ""
        self.rests = tuple(option[len(self.stem) :] for option in options)
        shared = _pattern(words[0][:same])
        self.prefix = max((" ".join(one[: same + 1]) for one in words), key=len)
        rests = ["".join(one[same:]) for one in words]
        self.nested = any(
            one != other and other.startswith(one) for one in rests for other in rests
        )
        names = [rf"(?<!{LETTER}){_pattern(one[same:])}(?!{LETTER})" for one in words]
        self._others = [
            re.compile("|".join([*names[:place], *names[place + 1 :], r"\bthe (?:other|rest)\b"]))
            for place in range(len(names))
        ]
        self._denial = re.compile(rf"(?i:\s*not\s+{shared}\s*)")
        # Written out, up to the first word that differs.
        self._full_patterns = [
            re.compile(rf"(?<!{LETTER}){shared}\s*({_pattern(one[same : same + 1])})(?!{LETTER})")
            for one in words
        ]
        self._bare_patterns = [
            re.compile(
                rf"[\s{re.escape(_MARKUP)}]*({_pattern(one[same:])})"
                rf"\s*?(?:[\s{re.escape(_MARKUP)}]*$|\n|[.,:;!?)\]。，：])"
            )
            for one in words
        ]
        self.same_letters = len(_common_prefix([one[same].lower() for one in words]))
        self.plain = not self.same_letters and self.prefix[0].isalpha() and not self.nested
        self._labels = all(len(rest[self.same_letters :].strip("[]().")) <= 2 for rest in rests)
        # "0" and "N" may be grades, after which words that deny are in place.
        graded = not self.stem and _GRADES.fullmatch("".join(self.rests).strip())
        self._named = self._labels and not graded
        # A single letter must match in case.
        cased = [len(rest.encode()) if len(rest) == 1 else 0 for rest in rests]
        self._full = [Spelling(one, case) for one, case in zip(words, cased, strict=True)]
        self.bare = [Spelling(one[same:], case) for one, case in zip(words, cased, strict=True)]

    def find(self, text: str) -> tuple[int, int, Sequence[Spelling]] | None:
        """Finds where an option is written.

        A text that begins with something else and names several options chooses none; neither does
        one that only mentions an option or takes it back ("Neither Passage A", "Passage A
        discusses", "Passage A is worse", "Passage A? No.").

        Returns:
            Where the option begins and where it differs from the others, in characters; and the
            spellings to compare the tokens at that position with.
        """
        bares = (pattern.match(text) for pattern in self._bare_patterns)
        for option, bare in enumerate(bares):
            if bare:
                if self._named and self._is_mention(option, text[bare.end(1) :]):
                    return None
                return bare.start(1), bare.start(1) + self.same_letters, self.bare
        matches = [
            (match, option)
            for option, one in enumerate(self._full_patterns)
            if (match := one.search(text))
        ]
        if not matches:
            return None
        first, option = min(matches, key=lambda found: found[0].start())
        before = text[: first.start()]
        if len(matches) > 1 and before.strip(_MARKUP + " \n\t"):
            return None
        if not _BEFORE.fullmatch(SENTENCE_END.split(before)[-1]):
            return None
        mentioned = is_denied_above(before) or self._is_mention(option, text[first.end(1) :])
        if self._labels and mentioned:
            return None
        return first.start(), first.start(1) + self.same_letters, self._full

    def _is_mention(self, option: int, after: str) -> bool:
        return is_mention(after, self._others[option], self._denial)

    def logprobs_at(
        self,
        positions: Sequence[Position],
        written: bytes,
        spellings: Sequence[Spelling],
        *,
        before: bytes = b"",
        ended: bool = False,
    ) -> tuple[float, ...] | None:
        """Returns the options' log-probabilities at the first of the positions, where they differ.

        Args:
            positions: the generated tokens, from the one where the options differ.
            written: what was generated of the option before.
            spellings: what to compare the tokens with.
            before: what the first token holds of the text before the option.
            ended: whether the model ended its turn after the last position.

        Returns:
            None if no listed token means an option, or only one token is listed.
        """

        def match(option: int, after: bytes, token: bytes) -> Match:
            text = written + after + token
            if written:
                return spellings[option].match(text)
            return max(
                spellings[option].match(text.removeprefix(before)),
                spellings[option].match(text.lstrip(_MARKUP.encode() + b" \n\t")),
            )

        return sum_by_option(positions, len(spellings), match, ended=ended)

    def exact_logprobs(self, positions: Sequence[Position]) -> tuple[float, ...] | None:
        """As ``logprobs_at``, but counts only tokens that an option begins with to the letter."""
        rests = [rest.encode() for rest in self.rests]

        def match(option: int, after: bytes, token: bytes) -> Match:
            text, rest = after + token, rests[option]
            if rest.startswith(text):
                return Match.SPELLED if text == rest else Match(bool(text.strip()))
            ended = after and text.startswith(rest) and not text[len(rest) :][:1].isalnum()
            return Match.ENDED if ended else Match.NONE

        return sum_by_option(positions, len(rests), match, ended=False)

    def unlisted(self, positions: Sequence[Position]) -> set[int]:
        """The options that no listed token begins, at none of the positions."""
        blank = _MARKUP.encode() + b" \n\t"
        # A token may hold what the options share as well.
        stem = self.stem.strip().encode()
        listed = {
            token.lstrip(blank).removeprefix(stem).lstrip(blank)
            for position in positions
            for token, _ in position.tops
        }
        return {
            option
            for option, spelling in enumerate(self.bare)
            if not any(spelling.match(token) for token in listed)
        }


@lru_cache(maxsize=256)
def parse_options(options: tuple[str, ...]) -> Options:
    """Returns the options and where they differ, cached: a run has only a few different ones."""
    return Options(options)


def read_options(
    options: Options,
    positions: Sequence[Position],
    start: int = 0,
    end: int | None = None,
    *,
    ended: bool = False,
) -> tuple[float, ...]:
    """Reads the options' log-likelihoods, up to a constant, at the position of the model's choice.

    Args:
        options: the options.
        positions: the generated tokens.
        start: where the answer begins, in bytes; reasoning comes before it.
        end: where it ends.
        ended: whether the model ended its turn after the last position.

    Returns:
        In the options' order. Tokens that mean the same option are added up; ``sum_by_option`` says
        what is made of tokens that begin several options, and of options that are not listed. NaN
        for all options if the model wrote none of them.
    """
    stream = b"".join(position.token for position in positions)
    # A token may be a fragment of a character; what cannot be decoded keeps its length.
    text = stream[start:end].decode("utf-8", "surrogateescape")
    if choice := options.find(text):
        begin, differs, spellings = choice
        first, target = (
            start + len(text[:place].encode("utf-8", "surrogateescape"))
            for place in (begin, differs)
        )
        offset = 0
        for place, position in enumerate(positions):
            if offset <= target < offset + len(position.token):
                logprobs = options.logprobs_at(
                    positions[place:],
                    stream[first:offset],
                    spellings,
                    before=stream[offset:first],
                    ended=ended,
                )
                if logprobs:
                    return logprobs
            offset += len(position.token)
    return (math.nan,) * len(options.rests)


def read_next(options: Options, positions: Sequence[Position]) -> tuple[float, ...]:
    """As ``read_options``, for a prompt that ends right where the options begin to differ.

    It does not matter whether the model would rather write something else, as long as the options
    are listed. After the prompt, "A" is another text than " A": as for a local model, only what
    continues it to the letter counts, unless no such token is listed (some servers list tokens
    without their spaces).
    """
    if not options.same_letters:
        exact = options.exact_logprobs(positions)
        if logprobs := exact or options.logprobs_at(positions, b"", options.bare):
            return logprobs
    return read_options(options, positions)


def _pattern(words: Sequence[str]) -> str:
    # A single letter must match in case.
    cased = (re.escape(one) if len(one) == 1 else f"(?i:{re.escape(one)})" for one in words)
    return r"\s*".join(cased)


def _common_prefix(texts: Sequence[str]) -> str:
    same = takewhile(lambda letters: len(set(letters)) == 1, zip(*texts, strict=False))
    return "".join(letters[0] for letters in same)
