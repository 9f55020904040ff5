"""Compares generated text with the spelling of an option, and parts tokens among options."""

import math
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from functools import lru_cache

from rankprompt.llm.openai.listing import Position

__all__ = ["Match", "Spelling", "sum_by_option"]

# An option's first word has few tokens; a hostile reply may have very many.
_FURTHEST = 32
# What is compared and remembered, in bytes; a hostile reply may have very long tokens.
_SHORT = 64


class Match(IntEnum):
    """What a text has of an option."""

    NONE = 0
    BEGUN = 1
    SPELLED = 2
    """All of it, and more of a longer option may follow."""
    ENDED = 3
    """All of it, and something that ends it."""


class Spelling:
    """An option whose words may be written with or without spaces between them.

    Args:
        words: the option's.
        cased: how many bytes at the end must match in case, not counting spaces.
    """

    def __init__(self, words: Sequence[str], cased: int) -> None:
        encoded = [word.encode("utf-8", "surrogatepass") for word in words]
        self._option = b"".join(encoded)
        self._starts = {sum(map(len, encoded[:place])) for place in range(len(encoded))}
        self._folded = len(self._option) - cased
        # A run compares the same few texts in every answer.
        self._known = lru_cache(maxsize=1024)(self._compare)

    def match(self, text: bytes) -> Match:
        """Compares the option with a text that begins where the option may."""
        return self._known(text) if len(text) <= _SHORT else self._compare(text)

    def _compare(self, text: bytes) -> Match:
        at = 0
        for place, byte in enumerate(text):
            ended = at == len(self._option)
            if bytes([byte]).isspace():
                if ended:
                    return Match.ENDED
                if at not in self._starts:
                    return Match.NONE
                continue
            one = text[place : place + 1]
            if ended:
                return Match.NONE if one.isalnum() else Match.ENDED
            same = self._option[at : at + 1]
            if one != same and (at >= self._folded or one.lower() != same.lower()):
                return Match.NONE
            at += 1
        if at == len(self._option):
            return Match.SPELLED
        return Match.BEGUN if at else Match.NONE


def sum_by_option(
    positions: Sequence[Position],
    number: int,
    match: Callable[[int, bytes, bytes], Match],
    *,
    ended: bool,
) -> tuple[float, ...] | None:
    """Adds up the tokens that mean an option, at the first of the positions.

    A token may begin several options: "1" begins 1, 10 and 12. Of the token that was generated, the
    tokens at the next position part its probability: P("1") P("]" | "1") is that of 1, and
    P("1") P("0" | "1") that of 10. Of another token nothing more is known, so its probability is
    shared equally among the options that it begins, without those that have a longer token listed:
    where "10" is a token, "1" does not begin 10. A token that begins all of them tells nothing
    about them, and is left out.

    Args:
        positions: the generated tokens, from where the options differ.
        number: of options.
        match: compares an option with what was generated after the first position, and a token.
        ended: whether the model ended its turn after the last position.

    Returns:
        Log-probabilities. An option without a token gets the lowest that is listed, an upper bound.
        None if no token means an option, or only one token is listed.
    """
    sums = _sums(positions[:_FURTHEST], b"", range(number), match, ended)
    return tuple(min(0.0, sums[option]) for option in range(number)) if sums else None


def _sums(
    positions: Sequence[Position],
    written: bytes,
    among: Sequence[int],
    match: Callable[[int, bytes, bytes], Match],
    ended: bool,
) -> dict[int, float] | None:
    """The options' log-probabilities at the first of the positions; None if nothing tells them."""
    generated, tops = positions[0]
    if len(tops) < 2:
        return None
    terms: dict[int, list[float]] = {option: [] for option in among}
    matched = {
        token: {option: found for option in among if (found := match(option, written, token))}
        for token, _ in tops
    }

    parted = False
    for token, logprob in tops:
        matches = matched[token]
        meant = list(matches)
        complete = [option for option in meant if matches[option] >= Match.SPELLED]
        shares: Mapping[int, float] | None = None
        if len(meant) > 1 and token == generated and not parted:
            parted = True
            if positions[1:]:
                shares = _sums(positions[1:], written + token, meant, match, ended)
            elif ended and complete:
                shares = _equally(complete)
        if len(meant) > 1 and not token and complete:  # an empty token ends the model's turn
            shares = _equally(complete)
        if len(meant) == 1 or (shares is None and len(meant) < len(among)):
            shares = _equally(_without_longer(token, matched) or meant)
        for option, share in (shares or {}).items():
            terms[option].append(logprob + share)
    if not any(terms.values()):
        return None
    lowest = min(logprob for _, logprob in tops)
    return {option: _log_sum(one) if one else lowest for option, one in terms.items()}


def _without_longer(token: bytes, matched: Mapping[bytes, Mapping[int, Match]]) -> list[int]:
    """The options that a token begins, without those that a longer listed token begins.

    A tokenizer with a token for "10" does not write 10 as "1" and "0".
    """
    meant = matched[token].keys()
    longer = [
        found.keys()
        for other, found in matched.items()
        if len(other) > len(token) and other.startswith(token) and found.keys() < meant
    ]
    return [option for option in meant if not any(option in one for one in longer)]


def _equally(options: Sequence[int]) -> Mapping[int, float]:
    return dict.fromkeys(options, -math.log(max(1, len(options))))


def _log_sum(terms: Sequence[float]) -> float:
    most = max(terms)
    return most + math.log(math.fsum(math.exp(one - most) for one in terms))
