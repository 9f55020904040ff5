"""Encodes requests as token sequences: what the model reads, and which logits are scored."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import takewhile
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from rankprompt.errors import ModelError
from rankprompt.llm.base import Request
from rankprompt.llm.local.chat_template import ChatTemplate
from rankprompt.llm.longest_prefix import cut_to_fit

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = [
    "EncodedRequest", "Row", "bounds_at", "check_batch", "check_length", "encode", "is_plain",
    "make_shareable", "option_rows", "put", "shared_length", "start_token", "truncate",
]  # fmt: skip


class Row(NamedTuple):
    """A sequence to run: the context, and a ``stem`` of tokens that some options begin with.

    ``lasts`` has (option, token) for each option that ends with one more token. So options that
    differ only in their last token share a row, and no last token is run; the shortcut is exact.
    ``stops`` has (option, length, tokens) for an option that is no more than the first ``length``
    tokens of the stem, and the ``tokens`` with which longer options go on after it: "1" is not
    meant where "0" follows, if "10" is an option.
    """

    stem: tuple[int, ...]
    lasts: tuple[tuple[int, int], ...]
    stops: tuple[tuple[int, int, tuple[int, ...]], ...] = ()


class EncodedRequest(NamedTuple):
    """A request as tokens.

    All options follow the ``context``, each with its count of tokens in ``counts``; ``rows`` are
    run to score them, and empty if text is to be generated. ``bounds`` are the lengths, ascending,
    of the prefixes of the context that other prompts may share.
    """

    context: tuple[int, ...]
    counts: tuple[int, ...]
    rows: tuple[Row, ...]
    bounds: tuple[int, ...] = ()

    @property
    def start(self) -> tuple[int, ...]:
        """The longest prefix of the context that other prompts may share."""
        return self.context[: self.bounds[-1]] if self.bounds else ()

    @property
    def length(self) -> int:
        """The tokens of the longest row."""
        return len(self.context) + max((len(row.stem) for row in self.rows), default=0)

    def size(self, max_tokens: int) -> int:
        """The tokens of the context and the longest answer together."""
        return len(self.context) + max(max_tokens, *self.counts, 0)


def encode(
    tokenizer: "PreTrainedTokenizerBase",
    request: Request,
    *,
    chat: ChatTemplate | None = None,
    encoder_decoder: bool = False,
    shortest_start: int | None = None,
) -> EncodedRequest:
    """Encodes a request.

    A tokenizer may merge the end of the prompt with the start of an option. So prompt and option
    are encoded together, and the context is what all encodings have in common: every option is then
    scored after the same tokens. The options of an encoder-decoder are encoded alone, since the
    decoder has a sequence of its own. An option that other options begin with is scored as "it, and
    not one of them": else "1" would be at least as likely as "10", whatever the model thinks. In a
    chat template, an option begins as the template lets an answer begin. An empty context is
    replaced by the tokenizer's start or end token, because the first scored token must follow
    another.

    Args:
        tokenizer: the model's.
        request: the request.
        chat: the tokenizer's chat template; None to prepare it, if the request asks for it.
        encoder_decoder: whether the model is an encoder-decoder.
        shortest_start: the fewest tokens of a shared prefix, beyond a shorter one; None for none.

    Raises:
        ModelError: the chat template cannot be used; an option has no tokens, or the same ones as
            another; or the context is empty and the tokenizer has no start token.
    """
    prompt, options, special = put(tokenizer, request, chat)

    def ids(text: str, special: bool = special) -> tuple[int, ...]:
        return tuple(tokenizer(text, add_special_tokens=special).input_ids)

    ends: list[int] = []
    if shortest_start and request.breaks and tokenizer.is_fast:
        encoding = tokenizer(prompt, add_special_tokens=special, return_offsets_mapping=True)
        context = tuple(encoding["input_ids"])
        ends = [end for _, end in encoding["offset_mapping"]]
    else:
        context = ids(prompt)
    if encoder_decoder:
        tails = [ids(option, special=False) for option in options]
    else:
        sequences = [ids(prompt + option) for option in options]
        shared = shared_length([context, *sequences])
        context, tails = context[:shared], [sequence[shared:] for sequence in sequences]
    counts, rows = option_rows(options, tails)
    if not context:
        context = start_token(tokenizer)
    bounds: tuple[int, ...] = ()
    moved = prompt.find(request.prompt)  # by what the chat template writes before it
    if shortest_start and ends and moved >= 0:
        # At least one token of the context is left to run, because its logits are read.
        ends = ends[: len(context) - 1]
        found = (bisect_right(ends, moved + offset) for offset in request.breaks)
        bounds = bounds_at(found, shortest_start)
    return EncodedRequest(context, counts, rows, bounds)


def put(
    tokenizer: "PreTrainedTokenizerBase", request: Request, chat: ChatTemplate | None
) -> tuple[str, tuple[str, ...], bool]:
    """Puts a request into the chat template, if it asks for it.

    Returns:
        The prompt and the options, as the model reads them, and whether the tokenizer is to add
        special tokens.

    Raises:
        ModelError: the chat template cannot be used.
    """
    if not (request.chat and tokenizer.chat_template):
        return request.prompt, request.options, True
    chat = chat or ChatTemplate(tokenizer, "this model")
    options = tuple(chat.lead + option.lstrip() for option in request.options)
    return chat.put(request.prompt), options, False  # The template contains the special tokens.


def option_rows(
    options: Sequence[str], tails: Sequence[tuple[int, ...]]
) -> tuple[tuple[int, ...], tuple[Row, ...]]:
    """Returns the ``counts`` and ``rows`` of options whose tokens after the context are ``tails``.

    Raises:
        ModelError: an option has no tokens, or the same ones as another.
    """
    _check_options(options, tails)
    lasts: dict[tuple[int, ...], list[tuple[int, int]]] = {}
    for option, tail in enumerate(tails):
        lasts.setdefault(tail[:-1], []).append((option, tail[-1]))
    stops = _stops(tails, list(lasts))
    rows = tuple(Row(stem, tuple(pairs), stops[stem]) for stem, pairs in lasts.items())
    return tuple(map(len, tails)), rows


def is_plain(tokenizer: "PreTrainedTokenizerBase") -> bool:
    """Whether this is a fast tokenizer whose class is transformers' own, not the model's."""
    return tokenizer.is_fast and type(tokenizer).__module__.startswith("transformers.")


def check_batch(requests: Sequence[Request], longest: int, context_length: int, name: str) -> bool:
    """Whether a batch scores options; else it generates text.

    Args:
        requests: the batch.
        longest: the tokens of its longest prompt and answer together.
        context_length: the most tokens that the model takes.
        name: the model's name, for messages.

    Raises:
        ModelError: a prompt does not fit, both kinds are mixed, or a request asks for nothing.
    """
    check_length(longest, context_length, name)
    scored = [bool(request.options) for request in requests]
    if any(scored) != all(scored):
        raise ModelError("one batch cannot both score options and generate text")
    if not all(request.options or request.max_tokens > 0 for request in requests):
        raise ModelError("a request must have options, or tokens to generate")
    return scored[0]


def check_length(longest: int, context_length: int, name: str) -> None:
    """Raises ModelError where the longest prompt of a batch does not fit into the context."""
    if longest > context_length:
        raise ModelError(
            f"a prompt of {longest} tokens does not fit into the {context_length} of {name}"
        )


def make_shareable(tokenizer: "PreTrainedTokenizerBase") -> AbstractContextManager[object]:
    """Prepares a tokenizer to be used by several threads.

    Returns:
        What a thread holds while it uses the tokenizer: nothing, or a lock. The fast tokenizers of
        transformers change nothing when they encode, once their first call has reset the truncation
        and padding that came with their file. Those in Python, and those that come with a model,
        may keep what they like.
    """
    tokenizer("A")
    return nullcontext() if is_plain(tokenizer) else Lock()


def truncate(tokenizer: "PreTrainedTokenizerBase", text: str, tokens: int) -> str:
    """Returns the longest prefix of whole characters with at most ``tokens`` tokens."""

    def count(prefix: str) -> int:
        return len(tokenizer(prefix, add_special_tokens=False).input_ids)

    return cut_to_fit(text, tokens, lambda end: count(text[:end]) <= tokens)


def _stops(
    tails: Sequence[tuple[int, ...]], stems: Sequence[tuple[int, ...]]
) -> dict[tuple[int, ...], tuple[tuple[int, int, tuple[int, ...]], ...]]:
    """Finds, for each stem, the options that end within it, each at the first stem that has it."""
    stops: dict[tuple[int, ...], list[tuple[int, int, tuple[int, ...]]]] = {}
    for option, tail in enumerate(tails):
        size = len(tail)
        longer = {other[size] for other in tails if len(other) > size and other[:size] == tail}
        if longer:
            stem = next(stem for stem in stems if stem[:size] == tail)
            stops.setdefault(stem, []).append((option, size, tuple(sorted(longer))))
    return {stem: tuple(stops.get(stem, ())) for stem in stems}


def _check_options(options: Sequence[str], tails: Sequence[tuple[int, ...]]) -> None:
    if not (all(options) and all(tails)):
        raise ModelError("an option is empty: there is nothing to score")
    first: dict[tuple[int, ...], str] = {}
    for option, tail in zip(options, tails, strict=True):
        if (other := first.setdefault(tail, option)) != option:
            raise ModelError(
                f"the options {other!r} and {option!r} are the same tokens to this model"
            )


def start_token(tokenizer: "PreTrainedTokenizerBase") -> tuple[int, ...]:
    """Returns the token that an empty context is replaced by.

    Raises:
        ModelError: the tokenizer has none.
    """
    for token in (tokenizer.bos_token_id, tokenizer.eos_token_id):
        if isinstance(token, int):
            return (token,)
    raise ModelError("the prompt is empty, and this model has no token to start from")


def bounds_at(counts: Iterable[int], shortest: int) -> tuple[int, ...]:
    """Chooses the bounds among the tokens that end before each break: if enough of them are new."""
    bounds: list[int] = []
    for bound in counts:
        if bound - (bounds[-1] if bounds else 0) >= shortest:
            bounds.append(bound)
    return tuple(bounds)


def shared_length(sequences: Sequence[Sequence[int]]) -> int:
    """Counts the tokens that all sequences begin with."""
    columns = zip(*sequences, strict=False)
    return sum(1 for _ in takewhile(lambda tokens: len(set(tokens)) == 1, columns))
