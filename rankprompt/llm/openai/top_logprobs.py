"""Reads a choice among options off the likeliest tokens that a server lists."""

import math
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import takewhile
from typing import Any, NamedTuple

__all__ = [
    "Options",
    "Position",
    "answer_start",
    "parted",
    "read_next",
    "read_options",
    "read_positions",
]

# A letter that goes on a word; Chinese and Japanese put no spaces between theirs.
_LETTER = r"[^\W\u3040-\u30ff\u3400-\u9fff]"
# What may stand around a bare "A".
_MARKS = "*_`'\"()[]"
_THINKING = re.compile(r"[<\[](/?)(?:seed:)?(?:think|thinking|thought|reasoning)[>\]]", re.I)


class Position(NamedTuple):
    """A generated token, and the tokens likely in its place with their log-probabilities.

    As bytes: a token may be a part of a character.
    """

    token: bytes
    tops: tuple[tuple[bytes, float], ...]


def answer_start(text: str) -> int | None:
    """Where the answer begins after a model's thinking; None where the thinking does not end.

    Thinking stands between <think> and </think>; where a chat template writes the first of them,
    only the second is seen, and nothing tells thinking that was cut off from an answer.
    """
    marks = list(_THINKING.finditer(text))
    if not marks:
        return 0
    return marks[-1].end() if marks[-1][1] else None


def read_positions(logprobs: Any) -> list[Position] | None:
    """Reads the ``logprobs`` of a reply, in the form of chat or of completions.

    Returns:
        None where there are none, or no more than the generated tokens' own.
    """
    try:
        if logprobs.get("content"):
            found = [_of_chat(entry) for entry in logprobs["content"]]
        else:
            lists = (logprobs[name] for name in ("tokens", "token_logprobs", "top_logprobs"))
            found = [
                _position(token.encode(), own, [(text.encode(), one) for text, one in tops.items()])
                for token, own, tops in zip(*lists, strict=True)
            ]
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    return found if any(len(one.tops) > 1 for one in found) else None


def _of_chat(entry: dict[str, Any]) -> Position:
    tops = [(_bytes(top), top["logprob"]) for top in entry["top_logprobs"]]
    return _position(_bytes(entry), entry["logprob"], tops)


def _bytes(entry: dict[str, Any]) -> bytes:
    listed = entry.get("bytes")
    return bytes(listed) if listed else str(entry["token"]).encode()


def _position(token: bytes, own: Any, tops: list[tuple[bytes, Any]]) -> Position:
    if all(text != token for text, _ in tops):
        tops = [(token, own), *tops]
    known = [(text, float(one)) for text, one in tops if one is not None and math.isfinite(one)]
    return Position(token, tuple(known))


class Options:
    """Options, and where they part.

    "Passage A" and "Passage B" share the word "Passage"; what tells them apart, "A" and "B", is
    their bare form. A single letter keeps its case ("a" is an article), other words need not.

    Attributes:
        stem: what all options begin with, up to a space: it can be put at a prompt's end.
        rests: the options without it.
        parting: what must be written before one option is told from another.
        same_letters: of the first word that differs, how many letters do not.
        alone: what tokens are compared with where nothing of an option stands before them.
    """

    def __init__(self, options: Sequence[str]) -> None:
        words = [option.split() for option in options]
        same = 0
        while all(same < len(one) - 1 and one[same] == words[0][same] for one in words):
            same += 1
        common = _common(options)
        spaces = [found.start() for found in re.finditer(r"\s+", common)]
        self.stem = common[: spaces[-1]] if spaces else ""
        self.rests = tuple(option[len(self.stem) :] for option in options)
        shared = _pattern(words[0][:same])
        self.parting = " ".join(words[0][: same + 1])
        # Written out up to the first word that differs.
        self._full = [
            re.compile(rf"(?<!{_LETTER}){shared}\s*({_pattern(one[same : same + 1])})(?!{_LETTER})")
            for one in words
        ]
        self._bare = [
            re.compile(
                rf"[\s{re.escape(_MARKS)}]*({_pattern(one[same:])})"
                rf"\s*?(?:[\s{re.escape(_MARKS)}]*$|\n|[.,:;!?)\]。，：])"
            )
            for one in words
        ]
        self.same_letters = len(_common([one[same].lower() for one in words]))
        self._whole = [_Written("".join(one[:same]), "".join(one[same:])) for one in words]
        self.alone = [_Written("", "".join(one[same:])) for one in words]

    def find(self, text: str) -> tuple[int, int, Sequence["_Written"]] | None:
        """Finds where one option is written.

        Where the text begins with something else, and names several options, it chooses none.

        Returns:
            Where it begins, and where it parts from the others, in characters; with what the
            tokens at that place are to be compared.
        """
        if bare := next(filter(None, (one.match(text) for one in self._bare)), None):
            return bare.start(1), bare.start(1) + self.same_letters, self.alone
        found = [match for one in self._full if (match := one.search(text))]
        if not found:
            return None
        first = min(found, key=lambda match: match.start())
        if len(found) > 1 and text[: first.start()].strip(_MARKS + " \n\t"):
            return None
        return first.start(), first.start(1) + self.same_letters, self._whole

    def weigh(
        self, position: Position, written: bytes, among: Sequence["_Written"]
    ) -> tuple[float, ...] | None:
        """The options' log-probabilities at the position where they part.

        Args:
            position: its tokens.
            written: what of the option was written before it.
            among: what to compare with.

        Returns:
            None where no listed token means an option, or nothing is there to compare it with.
        """

        def is_meant(place: int, token: bytes) -> bool:
            text = written + token if written else token.lstrip(_MARKS.encode() + b" \n\t")
            return among[place].is_meant_by(text)

        return _sums(position, len(among), is_meant)

    def weigh_exactly(self, position: Position) -> tuple[float, ...] | None:
        """As ``weigh``, of the tokens alone with which an option begins to the letter."""
        rests = [rest.encode() for rest in self.rests]
        return _sums(
            position,
            len(rests),
            lambda place, token: bool(token.strip()) and rests[place].startswith(token),
        )


class _Written:
    """An option without its spaces, to compare tokens with."""

    def __init__(self, shared: str, rest: str) -> None:
        # A single letter keeps its case.
        self._any_case = len(shared.encode()) if len(rest) == 1 else None
        self._option = self._fold((shared + rest).encode())

    def is_meant_by(self, text: bytes) -> bool:
        text = self._fold(b"".join(text.split()))
        if self._option.startswith(text):
            return bool(text)
        after = text[len(self._option) :][:1]
        return text.startswith(self._option) and not after.isalnum()

    def _fold(self, text: bytes) -> bytes:
        return text[: self._any_case].lower() + (
            text[self._any_case :] if self._any_case is not None else b""
        )


@lru_cache(maxsize=256)
def parted(options: tuple[str, ...]) -> Options:
    """The options' common start and where they part; a run has few different ones."""
    return Options(options)


def read_options(
    options: Options, positions: Sequence[Position], start: int = 0
) -> tuple[float, ...]:
    """Reads the options' log-likelihoods, up to a constant, where the model chose one.

    Args:
        options: to choose from.
        positions: the generated tokens.
        start: where the answer begins, in bytes; before it there is thinking.

    Returns:
        In the order of the options. Tokens that mean the same option are added up; an option that
        is not among those listed gets the least log-probability of these, which is an upper bound.
        NaN for all where the model wrote none of the options.
    """
    stream = b"".join(one.token for one in positions)
    text = stream[start:].decode("utf-8", "replace")
    if found := options.find(text):
        begins, parts, among = found
        first = start + len(text[:begins].encode())
        place = start + len(text[:parts].encode())
        before = 0
        for position in positions:
            if before <= place < before + len(position.token):
                weighed = options.weigh(position, stream[first:before], among)
                if weighed:
                    return weighed
            before += len(position.token)
    return (math.nan,) * len(options.rests)


def read_next(options: Options, positions: Sequence[Position]) -> tuple[float, ...]:
    """As ``read_options``, where the prompt ends right before the options part.

    What the model would rather have written there does not matter, as long as the options are
    among what is likely. After the prompt, "A" is another text than " A": as in a local model, only
    what continues it to the letter counts, unless the server lists nothing of that kind (some list
    tokens without their spaces).
    """
    if not options.same_letters:
        exact = options.weigh_exactly(positions[0])
        if weighed := exact or options.weigh(positions[0], b"", options.alone):
            return weighed
    return read_options(options, positions)


def _sums(
    position: Position, number: int, is_meant: Callable[[int, bytes], bool]
) -> tuple[float, ...] | None:
    """The log-probabilities of what means one option alone; the least listed where nothing does."""
    sums = [0.0] * number
    for token, logprob in position.tops:
        meant = [place for place in range(number) if is_meant(place, token)]
        if len(meant) == 1:
            sums[meant[0]] += math.exp(logprob)
    if not any(sums) or len(position.tops) < 2:
        return None
    least = min(logprob for _, logprob in position.tops)
    return tuple(math.log(one) if one else least for one in sums)


def _pattern(words: Sequence[str]) -> str:
    # A single letter keeps its case.
    cased = (re.escape(one) if len(one) == 1 else f"(?i:{re.escape(one)})" for one in words)
    return r"\s*".join(cased)


def _common(texts: Sequence[str]) -> str:
    """The letters that all texts begin with."""
    same = takewhile(lambda letters: len(set(letters)) == 1, zip(*texts, strict=False))
    return "".join(letters[0] for letters in same)
