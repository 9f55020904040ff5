"""Encodes many requests at once: each prompt once, and its options on its last words alone.

``encode`` reads a prompt once more for each option, because a tokenizer may merge the end of the
prompt with the start of an option. But most tokenizers split a text into words before they look for
tokens, so that an option can change the prompt's last words only. The text after the last safe
place between two words, the tail, is the same in most prompts of a run: the options are read after
each tail once. The results are those of ``encode``.
"""

import logging
import re
from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from itertools import takewhile
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from rankprompt.llm.base import Request
from rankprompt.llm.local.chat_template import ChatTemplate
from rankprompt.llm.local.encoding import (
    EncodedRequest,
    Row,
    bounds_at,
    encode,
    is_plain,
    option_rows,
    put,
    shared_length,
    start_token,
)

if TYPE_CHECKING:
    from tokenizers import Encoding
    from transformers import PreTrainedTokenizerBase

__all__ = ["Encoder"]

log = logging.getLogger("rankprompt")

# Where words end whatever stands after them: before a space that a letter follows, and after the
# end of a line.
_PLACE = re.compile(r"(?<=\S) (?=[A-Za-z])|(?<=\n)(?=\S)")
# How far before a prompt's end a place is looked for, in characters.
_REACH = 256
# So many tails are tried: the first prompt with each is also read by ``encode``. A tokenizer that
# looks further than words would differ, and then reads whole prompts.
_TRIED = 16
_MOST_TAILS = 4096
# The tokens of the prompts that are kept: some two thousand prompts about pairs, 20 MB.
_KEPT_TOKENS = 1 << 19


class _Text(NamedTuple):
    """A prompt or its tail, the options after it, and whether it gets a text's special tokens."""

    text: str
    options: tuple[str, ...]
    special: bool


class _Tail(NamedTuple):
    """The tokens of a tail and of the options after it.

    ``tokens`` are those of the tail alone, and all options go on after the first ``shared`` of
    them; ``counts`` and ``rows`` are those of an ``EncodedRequest``.
    """

    tokens: tuple[int, ...]
    shared: int
    counts: tuple[int, ...]
    rows: tuple[Row, ...]


class _Prompt(NamedTuple):
    """A prompt that was read.

    ``before`` is the number of tokens before its ``tail``, which is None where the whole prompt
    must be read with each option.
    """

    text: _Text
    encoding: "Encoding"
    ids: tuple[int, ...]
    before: int
    tail: _Text | None

    def fits(self, tail: _Tail | None, ending: tuple[int, ...]) -> bool:
        """Whether the tail read alone has the same tokens as at the end of the prompt."""
        if not tail or not self.tail:
            return False
        end = len(self.ids) - len(ending) * self.tail.special
        return self.ids[self.before : end] == tail.tokens


class Encoder:
    """Encodes requests as ``encode`` does, in batches, and keeps the latest; several threads may.

    Args:
        tokenizer: the model's, made shareable.
        chat: as for ``encode``.
        encoder_decoder: as for ``encode``.
        shortest_start: as for ``encode``.
    """

    def __init__(
        self,
        tokenizer: "PreTrainedTokenizerBase",
        *,
        chat: ChatTemplate | None = None,
        encoder_decoder: bool = False,
        shortest_start: int | None = None,
    ) -> None:
        self._tokenizer: Any = tokenizer
        self._chat, self._shortest_start = chat, shortest_start
        self._encoder_decoder = encoder_decoder
        self._lock = Lock()
        self._kept: dict[Request, EncodedRequest] = {}
        self._kept_tokens = 0
        self._in_batches = self._splits_words = is_plain(tokenizer)
        self._tails: dict[_Text, _Tail] = {}
        self._untried = _TRIED
        # The tokens that the tokenizer adds at the end of a text.
        self._ending: tuple[int, ...] = ()
        self._shortest_tail = 1
        if self._in_batches:
            (one,) = self._read([("A", True)])
            ending = sum(takewhile(bool, reversed(one.special_tokens_mask)))
            self._ending = tuple(one.ids[len(one.ids) - ending :])
            # No added token may reach from before a tail into an option.
            added = tokenizer.added_tokens_decoder.values()
            self._shortest_tail = max((len(str(token)) for token in added), default=1)

    def __call__(self, requests: Sequence[Request]) -> list[EncodedRequest]:
        """Encodes requests, in the same order.

        Raises:
            ModelError: as ``encode``.
        """
        with self._lock:
            found = {request: self._kept[request] for request in requests if request in self._kept}
        new = [request for request in dict.fromkeys(requests) if request not in found]
        if new:
            made = dict(zip(new, self._encode(new), strict=True))
            found |= made
            self._keep(made)
        return [found[request] for request in requests]

    def _keep(self, made: Mapping[Request, EncodedRequest]) -> None:
        with self._lock:
            for request, encoded in made.items():
                if request not in self._kept:
                    self._kept[request] = encoded
                    self._kept_tokens += len(encoded.context)
            while self._kept_tokens > _KEPT_TOKENS:
                oldest = next(iter(self._kept))
                self._kept_tokens -= len(self._kept.pop(oldest).context)

    def _encode(self, requests: Sequence[Request]) -> list[EncodedRequest]:
        if not self._in_batches:
            return [self._encode_alone(request) for request in requests]
        texts = [_Text(*put(self._tokenizer, request, self._chat)) for request in requests]
        encodings = self._read([(one.text, one.special) for one in texts])
        prompts = list(map(self._cut, texts, encodings))
        known = self._tails  # another thread may replace it meanwhile
        tails: dict[_Text | None, _Tail] = {
            one.tail: known[one.tail] for one in prompts if one.tail in known
        }
        new = {one.tail for one in prompts if one.tail}.difference(known)
        tails |= self._read_tails(new)
        whole = {one.text for one in prompts if not one.fits(tails.get(one.tail), self._ending)}
        wholes = self._read_tails(whole, whole=True)
        found = [
            self._assemble(request, one, 0, wholes[one.text])
            if one.text in wholes
            else self._assemble(request, one, one.before, tails[one.tail])
            for request, one in zip(requests, prompts, strict=True)
        ]
        if self._untried and new and not self._agrees(requests, prompts, found, new):
            return [self._encode_alone(request) for request in requests]
        if new:
            known = {} if len(known) > _MOST_TAILS else known
            self._tails = known | {text: tails[text] for text in new}
        return found

    def _cut(self, text: _Text, encoding: "Encoding") -> _Prompt:
        """Finds the tail of a prompt that was read."""
        prompt = _Prompt(text, encoding, tuple(encoding.ids), 0, None)
        if self._encoder_decoder or not text.options:
            # The decoder has a sequence of its own.
            return prompt._replace(before=len(prompt.ids), tail=_Text("", text.options, False))
        last = len(text.text) - self._shortest_tail
        places = [match.start() for match in _PLACE.finditer(text.text, max(0, last - _REACH))]
        for place in reversed(places if self._splits_words else ()):
            if 0 < place <= last and (before := _tokens_before(encoding, text.text, place)):
                tail = _Text(text.text[place:], text.options, text.special)
                return prompt._replace(before=before, tail=tail)
        return prompt

    def _read_tails(self, texts: Collection[_Text], *, whole: bool = False) -> dict[_Text, _Tail]:
        """Reads tails and the options after them; prompts too, which are ``whole`` texts."""
        pieces = [
            (one.text + option, whole and one.special)
            for one in texts
            for option in ("", *one.options)
        ]
        remaining = iter(self._read(pieces))
        tails = {}
        for one in texts:
            tokens, *sequences = (tuple(next(remaining).ids) for _ in range(1 + len(one.options)))
            ending = self._ending if one.special and not whole else ()
            sequences = [(*sequence, *ending) for sequence in sequences]
            shared = shared_length([(*tokens, *ending), *sequences])
            counts, rows = option_rows(one.options, [one[shared:] for one in sequences])
            tails[one] = _Tail(tokens, shared, counts, rows)
        return tails

    def _assemble(
        self, request: Request, prompt: _Prompt, before: int, tail: _Tail
    ) -> EncodedRequest:
        context = prompt.ids[: before + tail.shared] or start_token(self._tokenizer)
        bounds: tuple[int, ...] = ()
        moved = prompt.text.text.find(request.prompt)
        if self._shortest_start and request.breaks and moved >= 0:

            def end(token: int) -> int:
                span = prompt.encoding.token_to_chars(token)
                return span[1] if span else 0

            # At least one token of the context is left to run, because its logits are read.
            tokens = range(len(context) - 1)
            bounds = bounds_at(
                (bisect_right(tokens, moved + offset, key=end) for offset in request.breaks),
                self._shortest_start,
            )
        return EncodedRequest(context, tail.counts, tail.rows, bounds)

    def _agrees(
        self,
        requests: Sequence[Request],
        prompts: Sequence[_Prompt],
        found: Sequence[EncodedRequest],
        new: set[_Text],
    ) -> bool:
        """Compares the first results on new tails with those of ``encode``."""
        firsts = {one.tail: place for place, one in reversed(list(enumerate(prompts)))}
        for tail in new:
            if self._untried:
                self._untried -= 1
                place = firsts[tail]
                if found[place] != self._encode_alone(requests[place]):
                    log.debug("this tokenizer looks further than words: prompts are read whole")
                    self._splits_words, self._untried = False, 0
                    return False
        return True

    def _encode_alone(self, request: Request) -> EncodedRequest:
        return encode(
            self._tokenizer,
            request,
            chat=self._chat,
            encoder_decoder=self._encoder_decoder,
            shortest_start=self._shortest_start,
        )

    def _read(self, texts: Sequence[tuple[str, bool]]) -> "list[Encoding]":
        """Encodes texts, each with or without special tokens, in one call for either."""
        found: dict[int, Encoding] = {}
        for special in (False, True):
            places = [place for place, text in enumerate(texts) if text[1] == special]
            if places:
                read = self._tokenizer(
                    [texts[place][0] for place in places],
                    add_special_tokens=special,
                    return_attention_mask=False,
                    return_token_type_ids=False,
                )
                found |= zip(places, read.encodings, strict=True)
        return [found[place] for place in range(len(texts))]


def _tokens_before(encoding: "Encoding", text: str, place: int) -> int | None:
    """Counts the tokens before a place in a text; None where it is not between two words."""
    # Some tokenizers count a space to the word after it, and others to none.
    token = encoding.char_to_token(place + text[place].isspace())
    if not token or encoding.token_to_word(token) == encoding.token_to_word(token - 1):
        return None
    start, before = encoding.token_to_chars(token), encoding.token_to_chars(token - 1)
    return token if start and before and before[1] <= place <= start[0] else None
