"""Encodes many requests at once, and reads what their prompts have in common once.

``encode`` reads a prompt once more for each option, because a tokenizer may merge the end of the
prompt with the start of an option. But most tokenizers split a text into words first
(``text_pieces``), so that an option can change the last words only; and the prompts of a run are
made of the same lines. So each line is read once, and the options once after each last piece. The
results are those of ``encode``.
"""

import logging
from bisect import bisect_right
from collections.abc import Collection, Sequence
from functools import partial
from itertools import accumulate, chain, pairwise, takewhile
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
    truncate,
)
from rankprompt.llm.local.kept import Kept
from rankprompt.llm.local.text_pieces import PrefixCounter, cut, splits_words, tokens_before
from rankprompt.llm.longest_prefix import cut_to_fit

if TYPE_CHECKING:
    from tokenizers import Encoding
    from transformers import PreTrainedTokenizerBase

__all__ = ["Encoder"]

log = logging.getLogger("rankprompt")

# So much of the next piece is read with a piece, in characters.
_NEXT = 12
# So many results are compared with those of ``encode``, each with a last piece of its own. A
# tokenizer that looks further than it says would differ, and then reads whole prompts.
_TRIED = 16
# Words that are read together and apart.
_WORDS = "A Passage", "A", " Passage"
# What is kept, in tokens: the encodings of two chunks of common prompts, and the pieces of some
# thousand passages; 10 MB each.
_KEPT = 1 << 18


class _Text(NamedTuple):
    """A text, the options after it, and whether it gets the special tokens of a whole text."""

    text: str
    options: tuple[str, ...]
    special: bool


class _Piece(NamedTuple):
    """A piece's tokens, where each one ends, and how long the piece is, in characters.

    Tokens that the tokenizer adds at the end of a text have no ends.
    """

    ids: tuple[int, ...]
    ends: tuple[int, ...]
    length: int


class _Tail(NamedTuple):
    """A last piece and the options after it.

    All options go on after the first ``shared`` tokens of ``piece``; ``counts`` and ``rows`` are
    those of an ``EncodedRequest``.
    """

    piece: _Piece
    shared: int
    counts: tuple[int, ...]
    rows: tuple[Row, ...]


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
        self._encoded: Kept[Request, EncodedRequest] = Kept(_KEPT)
        self._pieces: Kept[tuple[str, str], _Piece | None] = Kept(_KEPT)
        self._tails: Kept[_Text, _Tail] = Kept(_KEPT)
        self._untried = _TRIED
        self._in_batches, self._in_pieces = is_plain(tokenizer), False
        self._counts_words = False
        if self._in_batches:
            self._in_pieces = splits_words(self._tokenizer.backend_tokenizer)
            (one,) = self._read([("A", True)])
            special = one.special_tokens_mask
            # What the tokenizer adds to a text.
            self._beginning = tuple(one.ids[: sum(takewhile(bool, special))])
            ending = sum(takewhile(bool, reversed(special)))
            self._ending = tuple(one.ids[len(special) - ending :])
            # No added token may reach from before a piece over what is read of it.
            added = tokenizer.added_tokens_decoder.values()
            self._next = max([_NEXT, *(len(str(token)) for token in added)])
            words = [tuple(one.ids) for one in self._read([(text, False) for text in _WORDS])]
            self._counts_words = self._in_pieces and words[0] == words[1] + words[2]

    def __call__(self, requests: Sequence[Request]) -> list[EncodedRequest]:
        """Encodes requests, in the same order.

        Raises:
            ModelError: as ``encode``.
        """
        found = self._encoded.find(requests)
        new = [request for request in dict.fromkeys(requests) if request not in found]
        if new:
            made = dict(zip(new, self._encode(new), strict=True))
            self._encoded.keep(made, {name: len(one.context) for name, one in made.items()})
            found |= made
        return [found[request] for request in requests]

    def truncate(self, text: str, tokens: int) -> str:
        """As the function of this name."""
        if not self._counts_words:
            return truncate(self._tokenizer, text, tokens)
        # Without what transformers does around it, which takes longer than a word does.
        read = partial(self._tokenizer.backend_tokenizer.encode, add_special_tokens=False)
        count = PrefixCounter(read, text)
        return cut_to_fit(text, tokens, lambda end: count(end) <= tokens)

    def _encode(self, requests: Sequence[Request]) -> list[EncodedRequest]:
        if not self._in_batches:
            return [self._encode_alone(request) for request in requests]
        texts = [_Text(*put(self._tokenizer, request, self._chat)) for request in requests]
        split = [self._split(text) for text in texts]
        pieces = self._find_pieces({key for keys, _ in split for key in keys})
        parted = [bool(keys) and all(map(pieces.get, keys)) for keys, _ in split]
        lasts = {last for (_, last), in_parts in zip(split, parted, strict=True) if in_parts}
        tails = self._tails.find(lasts)
        new = lasts - tails.keys()
        tails |= self._read_options(new, whole=False)
        wholes = self._read_options(
            {text for text, in_parts in zip(texts, parted, strict=True) if not in_parts}, whole=True
        )
        found: list[EncodedRequest] = []
        for request, text, (keys, last), in_parts in zip(
            requests, texts, split, parted, strict=True
        ):
            if not in_parts:
                found.append(self._join(request, text, (), wholes[text]))
                continue
            parts = [piece for piece in map(pieces.get, keys) if piece]
            found.append(self._join(request, text, parts, tails[last]))
            if self._untried and last in new:
                self._untried -= 1
                new.discard(last)
                if found[-1] != self._encode_alone(request):
                    log.debug("this tokenizer looks further than it says: it reads whole prompts")
                    self._in_pieces = False
                    return self._encode(requests)
        self._tails.keep(tails, {last: len(tail.piece.ids) for last, tail in tails.items()})
        return found

    def _split(self, text: _Text) -> tuple[list[tuple[str, str]], _Text]:
        """Cuts a text: all pieces but the last, each with what is next to it, and the last one."""
        if not self._in_pieces:
            return [], text
        *bounds, (last, _) = pairwise([0, *cut(text.text, self._next)])
        keys = [(text.text[start:end], text.text[end : end + self._next]) for start, end in bounds]
        return keys, text._replace(text=text.text[last:])

    def _find_pieces(
        self, keys: Collection[tuple[str, str]]
    ) -> dict[tuple[str, str], _Piece | None]:
        """Reads pieces; None for one that is not read alone as before what is next to it."""
        found = self._pieces.find(keys)
        new = [key for key in keys if key not in found]
        nexts = list({after for _, after in new})
        read = self._read([("".join(key), False) for key in new] + [(one, False) for one in nexts])
        alone = dict(zip(nexts, read[len(new) :], strict=True))
        made: dict[tuple[str, str], _Piece | None] = {}
        for (piece, after), encoding in zip(new, read, strict=False):
            size = tokens_before(encoding, piece + after, len(piece))
            ids = tuple(encoding.ids)
            made[piece, after] = None
            if size and ids[size:] == tuple(alone[after].ids):
                ends = tuple(end for _, end in encoding.offsets[:size])
                made[piece, after] = _Piece(ids[:size], ends, len(piece))
        self._pieces.keep(made, {key: len(one.ids) if one else 1 for key, one in made.items()})
        return found | made

    def _read_options(self, texts: Collection[_Text], *, whole: bool) -> dict[_Text, _Tail]:
        """Reads last pieces, or whole texts, with the options after them."""
        pieces: list[tuple[str, bool]] = []
        for text, options, special in texts:
            pieces.append((text, whole and special))
            if self._encoder_decoder:  # the decoder has a sequence of its own
                pieces += [(option, False) for option in options]
            else:
                pieces += [(text + option, whole and special) for option in options]
        read = iter(self._read(pieces))
        tails = {}
        for one in texts:
            encoding = next(read)
            ending = self._ending if one.special and not whole else ()
            ends = tuple(end for _, end in encoding.offsets)
            if whole and one.special:
                ends = ends[: len(ends) - len(self._ending)]
            piece = _Piece((*encoding.ids, *ending), ends, len(one.text))
            sequences = [tuple(next(read).ids) for _ in one.options]
            shared = len(piece.ids)
            if not self._encoder_decoder:
                sequences = [(*sequence, *ending) for sequence in sequences]
                shared = shared_length([piece.ids, *sequences])
                sequences = [sequence[shared:] for sequence in sequences]
            tails[one] = _Tail(piece, shared, *option_rows(one.options, sequences))
        return tails

    def _join(
        self, request: Request, text: _Text, parts: Sequence[_Piece], tail: _Tail
    ) -> EncodedRequest:
        """Puts together what was read: the parts and the tail, or a tail that is the whole text."""
        before = self._beginning if text.special and parts else ()
        last = tail.piece.ids[: tail.shared]
        context = (*before, *chain.from_iterable(piece.ids for piece in parts), *last)
        context = context or start_token(self._tokenizer)
        bounds: tuple[int, ...] = ()
        moved = text.text.find(request.prompt)
        if self._shortest_start and request.breaks and moved >= 0:
            # At least one token of the context is left to run, because its logits are read.
            most = len(context) - 1
            starts = [*accumulate((piece.length for piece in parts), initial=0)]
            tokens = [*accumulate((len(piece.ids) for piece in parts), initial=len(before))]
            pieces = [*parts, tail.piece]
            found = []
            for offset in request.breaks:
                place = bisect_right(starts, moved + offset) - 1
                inside = bisect_right(pieces[place].ends, moved + offset - starts[place])
                found.append(min(tokens[place] + inside, most))
            bounds = bounds_at(found, self._shortest_start)
        return EncodedRequest(context, tail.counts, tail.rows, bounds)

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
