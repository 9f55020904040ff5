"""Reads a choice among options from the most likely tokens that a server lists.

A token is compared with the options at the position where they differ: of " Passage A" and
" Passage B", at "A" or "B". Everything is compared as bytes, because a token may be a fragment of a
character.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import takewhile
from typing import Any, NamedTuple

__all__ = [
    "Options",
    "Position",
    "parse_options",
    "read_next",
    "read_options",
    "read_positions",
]

# A letter that continues a word; Chinese and Japanese write no spaces between words.
_LETTER = r"[^\W\u3040-\u30ff\u3400-\u9fff]"
# What may surround a bare "A".
_MARKUP = "*_`'\"()[]"


class Position(NamedTuple):
    """A generated token, and the likely tokens at its position with their log-probabilities."""

    token: bytes
    tops: tuple[tuple[bytes, float], ...]


def read_positions(logprobs: Any) -> list[Position] | None:
    """Parses the ``logprobs`` of a reply, in the form of chat or of completions.

    Returns:
        None if there are none, or only those of the generated tokens themselves.
    """
    try:
        if logprobs.get("content"):
            positions = [
                _position(
                    _token_bytes(entry),
                    entry["logprob"],
                    [(_token_bytes(top), top["logprob"]) for top in entry["top_logprobs"]],
                )
                for entry in logprobs["content"]
            ]
        else:
            lists = (logprobs[name] for name in ("tokens", "token_logprobs", "top_logprobs"))
            positions = [
                _position(token.encode(), logprob, [(top.encode(), p) for top, p in tops.items()])
                for token, logprob, tops in zip(*lists, strict=True)
            ]
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    return positions if any(len(position.tops) > 1 for position in positions) else None


def _token_bytes(entry: Mapping[str, Any]) -> bytes:
    listed = entry.get("bytes")
    return bytes(listed) if listed else str(entry["token"]).encode()


def _position(
    token: bytes, logprob: float | None, tops: list[tuple[bytes, float | None]]
) -> Position:
    if all(top != token for top, _ in tops):
        tops = [(token, logprob), *tops]
    finite = [(top, float(p)) for top, p in tops if p is not None and math.isfinite(p)]
    return Position(token, tuple(finite))


class Options:
    """Two or more options, and where they differ.

    " Passage A" and " Passage B" share the word "Passage"; the rest, "A" and "B", is their bare
    form. A single letter must match in case ("a" is an article), other words need not.

    Attributes:
        stem: what all options begin with, up to a space; it can be moved to the prompt's end.
        rests: the options without the stem.
        prefix: what is generated at most before the options can be told apart.
        same_letters: how many letters of the first word that differs are the same.
        bare: the options' bare forms, to compare tokens with.
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
        self.prefix = " ".join(words[0][: same + 1])
        # Written out, up to the first word that differs.
        self._full_patterns = [
            re.compile(rf"(?<!{_LETTER}){shared}\s*({_pattern(one[same : same + 1])})(?!{_LETTER})")
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
        self._full = [_Spelling("".join(one[:same]), "".join(one[same:])) for one in words]
        self.bare = [_Spelling("", "".join(one[same:])) for one in words]

    def find(self, text: str) -> tuple[int, int, Sequence["_Spelling"]] | None:
        """Finds where an option is written.

        A text that begins with something else and names several options chooses none.

        Returns:
            Where the option begins and where it differs from the others, in characters; and the
            spellings to compare the tokens at that position with.
        """
        if bare := next(filter(None, (one.match(text) for one in self._bare_patterns)), None):
            return bare.start(1), bare.start(1) + self.same_letters, self.bare
        matches = [match for one in self._full_patterns if (match := one.search(text))]
        if not matches:
            return None
        first = min(matches, key=lambda match: match.start())
        if len(matches) > 1 and text[: first.start()].strip(_MARKUP + " \n\t"):
            return None
        return first.start(), first.start(1) + self.same_letters, self._full

    def logprobs_at(
        self, position: Position, written: bytes, spellings: Sequence["_Spelling"]
    ) -> tuple[float, ...] | None:
        """Returns the options' log-probabilities at the position where they differ.

        ``written`` is what was generated of the option before, and ``spellings`` are what to
        compare the tokens with. None if no listed token means an option, or only one is listed.
        """

        def means(option: int, token: bytes) -> bool:
            text = written + token if written else token.lstrip(_MARKUP.encode() + b" \n\t")
            return spellings[option].is_meant_by(text)

        return _sum_by_option(position, len(spellings), means)

    def exact_logprobs(self, position: Position) -> tuple[float, ...] | None:
        """As ``logprobs_at``, but counts only tokens that an option begins with to the letter."""
        rests = [rest.encode() for rest in self.rests]
        return _sum_by_option(
            position,
            len(rests),
            lambda option, token: bool(token.strip()) and rests[option].startswith(token),
        )


class _Spelling:
    """An option without its spaces, to compare tokens with."""

    def __init__(self, shared: str, rest: str) -> None:
        # A single letter must match in case.
        self._any_case = len(shared.encode()) if len(rest) == 1 else None
        self._option = self._fold((shared + rest).encode())

    def is_meant_by(self, text: bytes) -> bool:
        text = self._fold(b"".join(text.split()))
        if self._option.startswith(text):
            return bool(text)
        after = text[len(self._option) :][:1]
        return text.startswith(self._option) and not after.isalnum()

    def _fold(self, text: bytes) -> bytes:
        if self._any_case is None:
            return text.lower()
        return text[: self._any_case].lower() + text[self._any_case :]


@lru_cache(maxsize=256)
def parse_options(options: tuple[str, ...]) -> Options:
    """Returns the options and where they differ, cached: a run has only a few different ones."""
    return Options(options)


def read_options(
    options: Options, positions: Sequence[Position], start: int = 0
) -> tuple[float, ...]:
    """Reads the options' log-likelihoods, up to a constant, at the position of the model's choice.

    Args:
        options: the options.
        positions: the generated tokens.
        start: where the answer begins, in bytes; thinking comes before it.

    Returns:
        In the options' order. Tokens that mean the same option are added up. An option that is not
        listed gets the lowest log-probability that is, which is an upper bound. NaN for all options
        if the model wrote none of them.
    """
    stream = b"".join(position.token for position in positions)
    text = stream[start:].decode("utf-8", "replace")
    if choice := options.find(text):
        begin, differs, spellings = choice
        first = start + len(text[:begin].encode())
        target = start + len(text[:differs].encode())
        offset = 0
        for position in positions:
            if offset <= target < offset + len(position.token):
                logprobs = options.logprobs_at(position, stream[first:offset], spellings)
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
        exact = options.exact_logprobs(positions[0])
        if logprobs := exact or options.logprobs_at(positions[0], b"", options.bare):
            return logprobs
    return read_options(options, positions)


def _sum_by_option(
    position: Position, number: int, means: Callable[[int, bytes], bool]
) -> tuple[float, ...] | None:
    """Adds up the tokens that mean a single option; the lowest listed for an option without any."""
    sums = [0.0] * number
    for token, logprob in position.tops:
        meant = [option for option in range(number) if means(option, token)]
        if len(meant) == 1:
            sums[meant[0]] += math.exp(logprob)
    if not any(sums) or len(position.tops) < 2:
        return None
    lowest = min(logprob for _, logprob in position.tops)
    return tuple(math.log(total) if total else lowest for total in sums)


def _pattern(words: Sequence[str]) -> str:
    # A single letter must match in case.
    cased = (re.escape(one) if len(one) == 1 else f"(?i:{re.escape(one)})" for one in words)
    return r"\s*".join(cased)


def _common_prefix(texts: Sequence[str]) -> str:
    same = takewhile(lambda letters: len(set(letters)) == 1, zip(*texts, strict=False))
    return "".join(letters[0] for letters in same)
