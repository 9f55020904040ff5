"""Asks a server for the log-probabilities of given tokens after a chat, by one generated token."""

import math
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, TypeAlias

from rankprompt.llm.openai.call_errors import JsonObject, UnusableError
from rankprompt.llm.openai.retrying_client import RetryingClient
from rankprompt.llm.openai.schema import Listing, Part, checked, first_choice, listing_of

__all__ = ["AskTokens", "TokenScores", "ask_allowed", "ask_listed", "ask_sglang"]

_MARK = "token_id:"
# The most that vLLM lists unless it is started with another `--max-logprobs`.
_TOPS = 20
# By how much a log-probability of 16-bit weights may vary with the batch, generously.
_NOISE = 0.3
# What rounding may leave of a probability.
_LEAST = 1e-3


class TokenScores(NamedTuple):
    """Log-probabilities by token, and what they cost: all replies, and the calls repeated."""

    logprobs: dict[int, float]
    replies: list[JsonObject]
    retries: int


AskTokens: TypeAlias = Callable[
    [RetryingClient, JsonObject, Sequence[int], Callable[[], bool]], Awaitable[TokenScores | None]
]
"""Asks for tokens.

Takes the client; a body to generate one token, whose "messages", or "prompt" as token ids, tell
what comes before; the tokens; and what says whether the server is known to answer so: then a reply
without a token is a failure that may pass. Returns None where the server cannot.

Raises:
    RefusedError, FilteredError, ModelError: as ``RetryingClient.post``.
"""


async def ask_listed(
    client: RetryingClient, body: JsonObject, tokens: Sequence[int], sure: Callable[[], bool]
) -> TokenScores | None:
    """Asks vLLM that lists the tokens it is asked for (``logprob_token_ids``): one call."""
    listing = {"logprob_token_ids": list(tokens), "return_tokens_as_token_ids": True}

    def read(reply: JsonObject) -> dict[int, float] | None:
        listed = _listed(reply)
        return listed if all(one in listed for one in tokens) else _missing(sure)

    found, replies, retries = await client.post(
        _path(body), body | _listing(body, 0) | listing, read
    )
    if found is None:
        return None
    return TokenScores({one: found[one] for one in tokens}, replies, retries)


async def ask_allowed(
    client: RetryingClient, body: JsonObject, tokens: Sequence[int], sure: Callable[[], bool]
) -> TokenScores | None:
    """Asks an older vLLM, which lists the likeliest tokens and the generated one.

    Only the given tokens may be generated (``allowed_token_ids``), which changes no listed
    log-probability: they are of the model's own distribution. So most often one call lists all, and
    a call each brings those that are not among the likeliest ones. A server that is not known to do
    so is asked for one token more, by which it shows it.
    """
    scores = TokenScores({}, [], 0)

    async def ask(allowed: Sequence[int]) -> dict[int, float]:
        nonlocal scores

        def read(reply: JsonObject) -> dict[int, float]:
            listed = _listed(reply)
            generated = next(iter(listed), None)
            return listed if generated in allowed else _missing(sure) or {}

        sent = body | _listing(body, _TOPS)
        sent |= {"allowed_token_ids": list(allowed), "return_tokens_as_token_ids": True}
        found, replies, retries = await client.post(_path(body), sent, read)
        scores = TokenScores(
            scores.logprobs | {one: found[one] for one in allowed if one in found},
            [*scores.replies, *replies],
            scores.retries + retries,
        )
        return found

    listed = await ask(tokens)
    if not listed:
        return None
    if not sure():
        # Alone, a token has its own log-probability, if it is the model's: 0 says nothing.
        unlisted = [one for one in tokens if one not in listed]
        shown = unlisted[0] if unlisted else min(tokens, key=listed.__getitem__)
        most = min(listed.get(shown, min(listed.values())) + _NOISE, -_LEAST)
        if (await ask([shown])).get(shown, math.inf) > most:
            return None
    for token in tokens:
        if token not in scores.logprobs and not await ask([token]):
            return None
    return scores


async def ask_sglang(
    client: RetryingClient, body: JsonObject, tokens: Sequence[int], sure: Callable[[], bool]
) -> TokenScores | None:
    """Asks SGLang's own ``/generate`` (``token_ids_logprob``), with the prompt as tokens."""
    sent: JsonObject = {
        "input_ids": body["prompt"],
        "sampling_params": {"max_new_tokens": 1, "temperature": 0},
        "return_logprob": True,
        "token_ids_logprob": list(tokens),
        "stream": False,
    }
    # An adapter is named after the base model in the other calls.
    if adapter := str(body.get("model")).partition(":")[2]:
        sent["lora_path"] = adapter

    def read(reply: JsonObject) -> dict[int, float] | None:
        listed = {token: value for value, token in checked(_Generated, reply).pairs}
        return listed if all(one in listed for one in tokens) else _missing(sure)

    found, replies, retries = await client.post("../generate", sent, read)
    if found is None:
        return None
    counted = [reply | {"usage": reply.get("meta_info")} for reply in replies]
    return TokenScores({one: found[one] for one in tokens}, counted, retries)


class _Meta(Part):
    """Of each generated token, what was asked for: (log-probability, token id, text)."""

    output_token_ids_logprobs: list[list[tuple[float, int, object]]]


class _Generated(Part):
    meta_info: _Meta

    @property
    def pairs(self) -> list[tuple[float, int]]:
        """The first generated token's."""
        first = self.meta_info.output_token_ids_logprobs[:1]
        return [(value, token) for position in first for value, token, _ in position]


def _path(body: JsonObject) -> str:
    return "/chat/completions" if "messages" in body else "/completions"


def _listing(body: JsonObject, tops: int) -> JsonObject:
    if "messages" in body:
        return {"logprobs": True} | ({"top_logprobs": tops} if tops else {})
    return {"logprobs": max(1, tops)}


def _missing(sure: Callable[[], bool]) -> dict[int, float] | None:
    """None, unless a server that could will do so again: two ways of scoring are not mixed."""
    if sure():
        raise UnusableError("a reply without the tokens that were asked for")
    return None


def _listed(reply: JsonObject) -> dict[int, float]:
    """The log-probabilities at the first generated token, by token id; that token comes first.

    Empty where none is listed by its id.

    Raises:
        UnusableError: there is no answer, or nothing was generated.
    """
    listing = listing_of(first_choice(reply)) or Listing()
    if listing.content is not None:
        if not listing.content:
            raise UnusableError("a reply without tokens")
        first = listing.content[0]
        entries = [(one.token, one.logprob) for one in (first, *(first.top_logprobs or ()))]
    else:
        likely = (listing.top_logprobs or [None])[0] or {}
        own = zip(listing.tokens or (), listing.token_logprobs or (), strict=False)
        entries = [*list(own)[:1], *likely.items()]
    return {
        int(token.removeprefix(_MARK)): value
        for token, value in entries
        if value is not None and token.startswith(_MARK) and token[len(_MARK) :].isdecimal()
    }
