"""From a request to token sequences, exactly: what is read, and where."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any, NamedTuple

from transformers import PreTrainedTokenizerBase

from rankprompt.errors import ModelError
from rankprompt.llm.base import Request

__all__ = ["Encoded", "Row", "encode"]


class Row(NamedTuple):
    """A sequence to run: the prompt with the tokens that some options begin with.

    ``lasts`` are the (option, token) that may come next: options that differ in their last token
    alone share one row. This is the one-token short cut, and it is exact.
    """

    stem: tuple[int, ...]
    lasts: tuple[tuple[int, int], ...]


class Encoded(NamedTuple):
    """A request in tokens.

    ``context`` is what the options have in common with the prompt; ``counts`` are the options'
    tokens beyond it; ``rows`` is empty where text is to be generated. ``bounds`` are where starts
    of the context end that other prompts may share, ascending, in tokens.
    """

    context: tuple[int, ...]
    counts: tuple[int, ...]
    rows: tuple[Row, ...]
    bounds: tuple[int, ...] = ()

    @property
    def start(self) -> tuple[int, ...]:
        """The longest start of the context that other prompts may share."""
        return self.context[: self.bounds[-1]] if self.bounds else ()

    @property
    def length(self) -> int:
        """The tokens of the longest row."""
        return len(self.context) + max((len(row.stem) for row in self.rows), default=0)


def encode(
    tokenizer: PreTrainedTokenizerBase,
    request: Request,
    *,
    encoder_decoder: bool = False,
    shortest_start: int | None = None,
) -> Encoded:
    """Encodes a request.

    A tokenizer may merge the prompt's end with an option's start. So prompt and option are encoded
    together, and what all encodings begin with is the context: every option is then scored on the
    same ground. An encoder-decoder's options are encoded alone, for the decoder starts anew.
    Where the context is empty, the tokenizer's start or end token stands for it: the first token
    must follow something.

    Args:
        tokenizer: the model's.
        request: what to encode.
        encoder_decoder: whether the model is one.
        shortest_start: the fewest tokens of a shared start, or of what one adds to another; None
            to look for none.

    Raises:
        ModelError: an option has no tokens, or another's; or the context none and the tokenizer
            no start token.
    """
    prompt, options, special = request.prompt, request.options, True
    if request.chat and tokenizer.chat_template:
        turn = [{"role": "user", "content": prompt}]
        prompt = str(
            tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
        )
        # The template holds the special tokens, and the assistant's turn starts on a new line.
        options, special = tuple(option.lstrip() for option in options), False

    def ids(text: str, special: bool = special) -> tuple[int, ...]:
        return tuple(tokenizer(text, add_special_tokens=special).input_ids)

    shared_starts = shortest_start and request.breaks and tokenizer.is_fast
    if shared_starts:
        found = tokenizer(prompt, add_special_tokens=special, return_offsets_mapping=True)
        context, ends = tuple(found["input_ids"]), [end for _, end in found["offset_mapping"]]
    else:
        context, ends = ids(prompt), []
    if encoder_decoder:
        tails = [ids(option, special=False) for option in options]
    else:
        whole = [ids(prompt + option) for option in options]
        shared = _shared([context, *whole]) if whole else len(context)
        context, tails = context[:shared], [one[shared:] for one in whole]
    if not (all(options) and all(tails)):
        raise ModelError("an option is empty: there is nothing to score")
    first: dict[tuple[int, ...], str] = {}
    for text, tail in zip(options, tails, strict=True):
        if (other := first.setdefault(tail, text)) != text:
            raise ModelError(
                f"the options {other!r} and {text!r} are the same tokens to this model"
            )
    if not context:
        marks: tuple[Any, ...] = (tokenizer.bos_token_id, tokenizer.eos_token_id)
        context = tuple(mark for mark in marks if mark is not None)[:1]
        if not context:
            raise ModelError("the prompt is empty, and this model has no token to start from")
    lasts: dict[tuple[int, ...], list[tuple[int, int]]] = {}
    for option, tail in enumerate(tails):
        lasts.setdefault(tail[:-1], []).append((option, tail[-1]))
    rows = tuple(Row(stem, tuple(found)) for stem, found in lasts.items())
    bounds: tuple[int, ...] = ()
    moved = prompt.find(request.prompt)  # where a chat template has put it
    if shortest_start and ends and moved >= 0:
        # At least one token of the context is left to run: its logits are read.
        breaks = [moved + place for place in request.breaks]
        bounds = _bounds(ends[: len(context) - 1], breaks, shortest_start)
    return Encoded(context, tuple(map(len, tails)), rows, bounds)


def _bounds(ends: Sequence[int], breaks: Sequence[int], shortest: int) -> tuple[int, ...]:
    """How many tokens end at or before each break, where that is worth a start of its own."""
    bounds: list[int] = []
    for place in breaks:
        bound = bisect_right(ends, place)
        if bound - (bounds[-1] if bounds else 0) >= shortest:
            bounds.append(bound)
    return tuple(bounds)


def _shared(sequences: Sequence[Sequence[int]]) -> int:
    """How many tokens the sequences begin with in common."""
    most = min(map(len, sequences))
    first = sequences[0]
    for place in range(most):
        if any(one[place] != first[place] for one in sequences):
            return place
    return most
