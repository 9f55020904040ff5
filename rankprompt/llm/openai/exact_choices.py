"""Scores options in chat exactly, where a server tells the log-probabilities of given tokens.

The options are scored as token sequences, as by a local model: after each of their prefixes, the
server is asked for the log-probabilities of the tokens that follow, with the prefix as the start
of the assistant's turn. One token is generated a call. What all options begin with is left out, for
it changes no choice: " Passage A" and " Passage B" take one call, "[A]" and "[B]" three, whose
common prompt the server's prefix cache makes cheap.
"""

import logging

from rankprompt.errors import ModelError
from rankprompt.llm.base import Answer, Usage
from rankprompt.llm.openai.call_errors import FilteredError
from rankprompt.llm.openai.option_tokens import (
    TEMPLATE_FIELDS,
    OptionTokens,
    continued,
    read_option_tokens,
)
from rankprompt.llm.openai.replies import TokenEstimate, usage_of
from rankprompt.llm.openai.retrying_client import JsonObject, RefusedError, RetryingClient
from rankprompt.llm.openai.server_kind import SGLANG, UNKNOWN, VLLM, ServerKind
from rankprompt.llm.openai.token_scores import (
    AskTokens,
    TokenScores,
    ask_allowed,
    ask_listed,
    ask_sglang,
)
from rankprompt.llm.openai.tokenize_endpoint import TokenizeEndpoint
from rankprompt.llm.openai.tokenize_replies import parse_ids

__all__ = ["ExactChoices"]

log = logging.getLogger("rankprompt")

# A judge's questions have few different options; they must not fill the memory all the same.
_MOST_KEPT = 256
# How a server can be asked, the cheapest way first. One that is not told from others may be a vLLM
# behind a gateway: it is tried where it tells tokens as vLLM does.
_WAYS: dict[str, tuple[AskTokens, ...]] = {
    VLLM: (ask_listed, ask_allowed),
    SGLANG: (ask_sglang,),
    UNKNOWN.name: (ask_listed,),
}
# What a request may hold for its prompt to be sent as tokens in another call.
_FIELDS = {"model", "messages", "max_tokens", "max_completion_tokens", "temperature"}


class ExactChoices:
    """Scores options at a server that can, and finds out at the first use whether it can.

    Args:
        endpoint: the server's ``/tokenize``, which tells how a chat's tokens begin and go on.
    """

    def __init__(self, endpoint: TokenizeEndpoint) -> None:
        self._endpoint = endpoint
        self._options: dict[tuple[str, ...], OptionTokens | None] = {}
        self._way, self._scored = 0, False

    @property
    def used(self) -> bool:
        """Whether options were scored so."""
        return self._scored

    async def score(
        self,
        client: RetryingClient,
        body: JsonObject,
        options: tuple[str, ...],
        kind: ServerKind | None = None,
    ) -> tuple[Answer, Usage] | None:
        """Scores a request's options.

        Args:
            client: of the server.
            body: a request for one token in chat, whose only message is the user's.
            options: two or more.
            kind: which program the server is; None before it was asked.

        Returns:
            The answer, whose log-likelihoods lack a constant, and the usage of all calls; None if
            the server cannot.

        Raises:
            ModelError: the server cannot be reached.
        """
        ways = _WAYS.get((kind or UNKNOWN).name, ())
        while self._way < len(ways):
            tokens = self._read(body, options)
            if tokens is None:
                return None
            way, scored = self._way, None
            try:
                scored = await self._score(client, body, tokens, ways[way])
            except RefusedError:
                if self._scored:
                    return None  # refused in the usual form as well, which says why
            if scored or self._scored:
                return scored
            log.debug("the server does not list the tokens that it is asked for (%s)", way)
            self._way = max(self._way, way + 1)
        return None

    async def _score(
        self, client: RetryingClient, body: JsonObject, tokens: OptionTokens, ask: AskTokens
    ) -> tuple[Answer, Usage] | None:
        found: dict[tuple[int, ...], float] = {}
        received: list[JsonObject] = []
        retries = 0
        prompt: list[int] | None = None
        for prefix, text in tokens.texts.items():
            if text is None or ask is ask_sglang:
                if body.keys() - _FIELDS - set(TEMPLATE_FIELDS):
                    return None  # what else the request holds may not be said in another call
                prompt = prompt or await _tokens(client, body)
                if prompt is None:
                    return None
                sent: JsonObject = {
                    name: body[name] for name in ("model", "temperature") if name in body
                }
                sent |= {"prompt": [*prompt, *prefix], "max_tokens": 1}
            else:
                sent = body | continued(body, text)
            try:
                scores: TokenScores | None = await ask(
                    client, sent, tokens.continuations(prefix), lambda: self._scored
                )
            except FilteredError as filtered:
                received += filtered.replies
                filtered.usage = usage_of(received, TokenEstimate(0, 1), retries)
                raise
            if scores is None:
                return None
            self._scored = True
            found |= {(*prefix, token): value for token, value in scores.logprobs.items()}
            received += scores.replies
            retries += scores.retries
        logprobs = tuple(tokens.loglikelihood(one, found) for one in tokens.tokens)
        lengths = tuple(len(one) - tokens.shared for one in tokens.tokens)
        return Answer(logprobs, lengths), usage_of(received, TokenEstimate(0, 1), retries)

    def _read(self, body: JsonObject, options: tuple[str, ...]) -> OptionTokens | None:
        """Reads options as tokens, each tuple of options once; None if the server cannot."""
        if self._endpoint.context_length is None:  # neither vLLM nor SGLang
            return None
        if options not in self._options:
            if len(self._options) >= _MOST_KEPT:
                self._options.clear()
            template = {name: body[name] for name in TEMPLATE_FIELDS if name in body}
            try:
                self._options[options] = read_option_tokens(self._endpoint, template, options)
            except (ValueError, ModelError) as error:
                log.debug("the options are not scored token by token: %s", error)
                self._options[options] = None
        return self._options[options]


async def _tokens(client: RetryingClient, body: JsonObject) -> list[int] | None:
    """The tokens of a chat up to where the answer begins; None where the server does not say."""
    chat = {name: body[name] for name in ("model", "messages", *TEMPLATE_FIELDS) if name in body}
    ids, _, _ = await client.post("../tokenize", chat | {"add_generation_prompt": True}, parse_ids)
    return ids
