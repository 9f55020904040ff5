"""Generated tokens and the likely tokens beside them, as a server lists them."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from rankprompt.llm.openai.retrying_client import UnusableError
from rankprompt.llm.openai.schema import Listing
from rankprompt.llm.openai.token_bytes import TokenDecoder

__all__ = ["Position", "read_positions"]

# Probabilities at a position add up to 1; some servers list the generated token as certain, as
# greedy decoding makes it, beside the model's own probabilities.
_MOST = 2.01

_Listed = tuple[str, Sequence[int] | None, float | None]


class Position(NamedTuple):
    """A generated token, and the likely tokens at its position with their log-probabilities."""

    token: bytes
    tops: tuple[tuple[bytes, float], ...]


def read_positions(listing: Listing | None) -> list[Position] | None:
    """Reads the listed tokens, in the form of chat or of completions.

    Returns:
        None if there are none, or only the generated tokens themselves.

    Raises:
        UnusableError: the log-probabilities contradict each other.
    """
    if listing is None:
        return None
    if listing.content:
        entries = [
            [(one.token, one.bytes, one.logprob) for one in (entry, *(entry.top_logprobs or ()))]
            for entry in listing.content
        ]
    else:
        tokens, logprobs, tops = listing.tokens, listing.token_logprobs, listing.top_logprobs
        if not (tokens and logprobs and tops):
            return None
        if not len(tokens) == len(logprobs) == len(tops):
            raise UnusableError("log-probabilities of another number than tokens")
        entries = [
            [(token, None, logprob), *((top, None, one) for top, one in (likely or {}).items())]
            for token, logprob, likely in zip(tokens, logprobs, tops, strict=True)
        ]
    decoder = TokenDecoder([token for entry in entries for token, _, _ in entry])
    positions = [_position(entry, decoder) for entry in entries]
    return positions if any(len(position.tops) > 1 for position in positions) else None


def _position(entry: Sequence[_Listed], decoder: TokenDecoder) -> Position:
    (token, logprob), *tops = [
        (decoder.decode(text, listed), value) for text, listed, value in entry
    ]
    finite = tuple((top, value) for top, value in tops if value is not None)
    total = math.fsum(math.exp(value) for _, value in finite)
    if total > _MOST:
        raise UnusableError("log-probabilities whose probabilities add up to more than 1")
    # Some servers list tokens without their spaces: the generated one is not another one then.
    listed = logprob is None or any(top == token for top, _ in tops)
    if logprob is not None and not listed and total + math.exp(logprob) <= 1.01:
        finite = ((token, logprob), *finite)
    return Position(token, finite)
