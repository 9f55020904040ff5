"""Scores options in chat exactly, where a server lists the tokens that it is asked for (vLLM).

The options are scored as token sequences, as by a local model: after each of their prefixes, the
server is asked for the log-probabilities of the tokens that follow, with the prefix as the start
of the assistant's turn. What all options begin with is left out, for it changes no choice:
" Passage A" and " Passage B" take one call, "[A]" and "[B]" three, whose common prompt the server's
prefix cache makes cheap.
"""

import logging
import math
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import NamedTuple

from pydantic import BaseModel, Field, ValidationError

from rankprompt.llm.base import Answer, Usage
from rankprompt.llm.openai.call_errors import FilteredError
from rankprompt.llm.openai.replies import TokenEstimate, usage_of
from rankprompt.llm.openai.retrying_client import (
    JsonObject,
    RefusedError,
    RetryingClient,
    UnusableError,
)
from rankprompt.llm.openai.tokenize_endpoint import TokenizeEndpoint

__all__ = ["ExactChoices"]

log = logging.getLogger("rankprompt")

_MARK = "token_id:"
# What rounding may leave of a probability.
_LEAST = 1e-12
# A judge's questions have few different options; they must not fill the memory all the same.
_MOST_KEPT = 256
# What changes how a chat template is filled in.
_TEMPLATE_FIELDS = ("chat_template", "chat_template_kwargs")


class _Options(NamedTuple):
    """Options as tokens after the template; ``texts`` has each prefix as text, ``shared`` first."""

    tokens: tuple[tuple[int, ...], ...]
    shared: int
    texts: dict[tuple[int, ...], str]

    def continuations(self, prefix: tuple[int, ...]) -> list[int]:
        """The tokens that follow a prefix in any option."""
        end = len(prefix)
        return sorted({one[end] for one in self.tokens if one[:end] == prefix and one[end:]})

    def loglikelihood(
        self, option: tuple[int, ...], found: Mapping[tuple[int, ...], float]
    ) -> float:
        """Adds up the log-probabilities of an option's tokens, each after those before it.

        "1" is not meant where "0" follows, if "10" is an option.
        """
        total = sum(found[option[:end]] for end in range(self.shared + 1, len(option) + 1))
        longer = math.fsum(math.exp(found[*option, one]) for one in self.continuations(option))
        return total + math.log(max(1 - longer, _LEAST))


class _Top(BaseModel):
    token: str
    logprob: float = Field(le=1e-3, allow_inf_nan=False)


class _Position(BaseModel):
    top_logprobs: list[_Top]


class _Logprobs(BaseModel):
    content: list[_Position]


class _Choice(BaseModel):
    logprobs: _Logprobs


class _Reply(BaseModel):
    choices: list[_Choice]


class ExactChoices:
    """Scores options at a server that can, and finds out at the first use whether it can.

    Args:
        endpoint: the server's ``/tokenize``, which tells how a chat's tokens begin and go on.
    """

    def __init__(self, endpoint: TokenizeEndpoint) -> None:
        self._endpoint = endpoint
        self._options: dict[tuple[str, ...], _Options | None] = {}
        self._can, self._scored = True, False

    @property
    def used(self) -> bool:
        """Whether options were scored so."""
        return self._scored

    async def score(
        self, client: RetryingClient, body: JsonObject, options: tuple[str, ...]
    ) -> tuple[Answer, Usage] | None:
        """Scores a request's options.

        Args:
            client: of the server.
            body: a request for one token in chat, whose only message is the user's.
            options: two or more.

        Returns:
            The answer, whose log-likelihoods lack a constant, and the usage of all calls; None if
            the server cannot.

        Raises:
            ModelError: the server cannot be reached.
        """
        tokens = self._read(body, options) if self._can else None
        if tokens is None:
            return None
        found: dict[tuple[int, ...], float] = {}
        received: list[JsonObject] = []
        retries = 0
        for prefix, text in tokens.texts.items():
            asked = tokens.continuations(prefix)
            sent = body | _continued(body, text) | _listing(asked)

            def read(reply: JsonObject, asked: Sequence[int] = asked) -> dict[int, float] | None:
                listed = _read_logprobs(reply, asked)
                if listed is None and self._scored:
                    # A server that could will do so again: two ways of scoring are not mixed.
                    raise UnusableError("a reply without the tokens that were asked for")
                return listed

            try:
                listed, replies, more = await client.post("/chat/completions", sent, read)
            except FilteredError as filtered:
                received += filtered.replies
                filtered.usage = usage_of(received, TokenEstimate(0, 1), retries)
                raise
            except RefusedError:
                if self._scored:
                    return None  # refused in the usual form as well, which says why
                listed, replies, more = None, [], 0
            if listed is None:
                log.debug("the server lists other tokens than it is asked for")
                self._can = False
                return None
            self._scored = True
            found |= {(*prefix, token): logprob for token, logprob in listed.items()}
            received += replies
            retries += more
        logprobs = tuple(tokens.loglikelihood(one, found) for one in tokens.tokens)
        lengths = tuple(len(one) - tokens.shared for one in tokens.tokens)
        return Answer(logprobs, lengths), usage_of(received, TokenEstimate(0, 1), retries)

    def _read(self, body: JsonObject, options: tuple[str, ...]) -> _Options | None:
        """Reads options as tokens, each tuple of options once; None if the server cannot."""
        if self._endpoint.context_length is None:  # neither vLLM nor SGLang
            return None
        if options not in self._options:
            if len(self._options) >= _MOST_KEPT:
                self._options.clear()
            template = {name: body[name] for name in _TEMPLATE_FIELDS if name in body}
            try:
                self._options[options] = self._tokenize(template, options)
            except ValueError as error:
                log.debug("the options are not scored token by token: %s", error)
                self._options[options] = None
        return self._options[options]

    def _tokenize(
        self, template: Mapping[str, object], options: tuple[str, ...]
    ) -> _Options | None:
        chat: JsonObject = {"messages": [{"role": "user", "content": "?"}], **template}
        start = self._endpoint.read_chat(chat | {"add_generation_prompt": True})

        def after_start(text: str) -> tuple[int, ...] | None:
            whole = self._endpoint.read_chat(chat | _continued(chat, text)) if text else start
            return whole[len(start) :] if whole[: len(start)] == start else None

        # The assistant's turn begins on a new line, as for a local model.
        tokens = [after_start(option.lstrip()) for option in options]
        read = tuple(one for one in tokens if one)
        if len(set(read)) < len(options):
            return None
        shared = sum(
            1 for _ in takewhile(lambda column: len(set(column)) == 1, zip(*read, strict=False))
        )
        prefixes = {one[:end]: "" for one in read for end in range(shared, len(one))}
        for prefix in prefixes:
            text = self._endpoint.write(prefix) if prefix else ""
            if after_start(text) != prefix:
                return None
            prefixes[prefix] = text
        return _Options(read, shared, prefixes)


def _continued(body: JsonObject, text: str) -> JsonObject:
    """The fields that begin the assistant's turn with a text."""
    if not text:
        return {}
    messages = body["messages"]
    assert isinstance(messages, list)
    return {
        "messages": [*messages, {"role": "assistant", "content": text}],
        "add_generation_prompt": False,
        "continue_final_message": True,
    }


def _listing(tokens: Sequence[int]) -> JsonObject:
    return {
        "logprobs": True,
        "logprob_token_ids": list(tokens),
        "return_tokens_as_token_ids": True,
    }


def _read_logprobs(reply: JsonObject, asked: Sequence[int]) -> dict[int, float] | None:
    """The log-probabilities of the tokens that were asked for; None if one of them is missing."""
    try:
        parsed = _Reply.model_validate(reply)
    except ValidationError:
        return None
    if not (parsed.choices and parsed.choices[0].logprobs.content):
        raise UnusableError("a reply without tokens")
    tops = parsed.choices[0].logprobs.content[0].top_logprobs
    listed = {one.token: one.logprob for one in tops}
    found = {token: listed[f"{_MARK}{token}"] for token in asked if f"{_MARK}{token}" in listed}
    return found if len(found) == len(asked) else None
