"""Rerankers behind servers: Jina, Cohere, vLLM, LiteLLM, TEI and what is compatible with them."""

import json
import logging
import math
from collections.abc import Callable, Sequence
from functools import partial
from hashlib import blake2b

from rankprompt.errors import InputError, ModelError
from rankprompt.llm.base import Answer, Request, Usage
from rankprompt.llm.openai.call_errors import FilteredError, RefusedError
from rankprompt.llm.openai.retrying_client import RetryingClient, full_jitter
from rankprompt.llm.openai.same_model import require_same_model
from rankprompt.llm.openai.settings import ServerSettings
from rankprompt.llm.openai.tokenize_endpoint import TokenizeEndpoint
from rankprompt.llm.openai.tokens import ByteEstimate, TokenCounter, count_by, estimate_tokens
from rankprompt.llm.openai.weights import fetch_models, weights_digest
from rankprompt.llm.rerankers.server_forms import parse_forms
from rankprompt.llm.rerankers.server_replies import (
    explain,
    is_batch_too_large,
    log_odds,
    parse_scores,
    tokens_in,
)

__all__ = ["RerankServer", "load"]

log = logging.getLogger("rankprompt")

# Changes with how replies are read, so that a journal's answers of an older form are not used.
_FORM = 1
_TIMEOUT = 300.0
# Where the server does not say how long its texts may be: it cuts them itself.
_UNKNOWN_LENGTH = 1 << 20
# Fewer equal scores than these are chance.
_TIES = 3
# In `extra_body`, they would change the question.
_OWN_FIELDS = {"query", "queries", "documents", "texts", "text_1", "text_2", "items"}
# TEI's name for scores as the model gives them; of other servers, it says the same.
_RAW = "raw_scores"


class RerankServer:
    """A reranker behind a server, which scores many passages of a query in one call.

    Its scores are read as probabilities of relevance, and their log-odds are the answers; those of
    TEI, which is asked for raw scores, are the answers themselves. ``raw_scores`` in the settings'
    ``extra_body`` says which of both a server gives; only TEI is sent it.

    Args:
        name: the model's name at the server.
        base_url: the form is read from its path: ``parse_form`` says how; or those of several
            servers, of one form.
        timeout: seconds that a call may take in all.
        retries: how often a failed call may be retried.
        counter: counts and cuts tokens; None for an estimate.
        settings: how it is called; None for the defaults.
        pause: returns the seconds to wait before a retry, given how many came before it.

    Attributes:
        name: the model's name at the server.
        fingerprint: changes with the model, as far as a client can tell.
        requests_per_call: the most requests of a call; lowered where the server takes no more.

    Raises:
        InputError: the settings are not a reranker's.
        ModelError: the address or the key cannot be used.
    """

    def __init__(
        self,
        name: str,
        *,
        base_url: str | Sequence[str],
        timeout: float = _TIMEOUT,
        retries: int = 6,
        counter: TokenCounter | None = None,
        settings: ServerSettings | None = None,
        pause: Callable[[int], float] = full_jitter,
    ) -> None:
        settings = settings or ServerSettings()
        self.name, self._counter = name, counter or ByteEstimate()
        forms = parse_forms(base_url)
        self._form = form = forms[0]
        self._model_id, extra = settings.model_id, dict(settings.extra_body)
        if own := sorted(_OWN_FIELDS & extra.keys()):
            raise InputError(f"`extra_body` must not hold {own[0]}: rankprompt writes that itself")
        raw = extra.get(_RAW, form.log_odds)
        if not isinstance(raw, bool):
            raise InputError(f"`extra_body` {_RAW} must be true or false")
        self._log_odds: bool = raw
        self._extra = {
            field: value for field, value in extra.items() if field != _RAW or _RAW in form.more
        }
        self._client = RetryingClient(
            [str(one.root) for one in forms],
            timeout=timeout,
            retries=retries,
            headers=settings.headers,
            pause=pause,
            # What they look for are the replies of language models.
            check=lambda _: None,
            list_name="results",
        )
        served_as = settings.model_id or " ".join(sorted(one.root.url(one.path) for one in forms))
        self.fingerprint = f"rerank {_FORM} {served_as} {name}"
        if extra:
            content = json.dumps(extra, sort_keys=True).encode()
            self.fingerprint += f" as {blake2b(content, digest_size=8).hexdigest()}"
        self.requests_per_call = form.requests_per_call
        self._tied = False

    async def open(self) -> None:
        """Asks the server which weights it has, for the fingerprint; not with a model id."""
        if self._model_id:
            return
        path = self._form.description_path
        await require_same_model(self._client, path, partial(weights_digest, name=self.name))
        models = await fetch_models(self._client, path)
        if digest := weights_digest(models, self.name):
            self.fingerprint += f" of {digest}"

    @property
    def context_length(self) -> int:
        """The maximum length of query and passage together, where a client can tell."""
        return self._counter.context_length(_UNKNOWN_LENGTH)

    @property
    def tokens_counted_by(self) -> str:
        """What counts tokens, for the manifest: "tokenizer FOLDER", "server" or "estimate"."""
        return self._counter.description

    @property
    def choices_read_from(self) -> str:
        """How the scores are read, for the manifest."""
        return f"{'log-odds' if self._log_odds else 'probabilities'} of {self._form.path}"

    async def answer(self, request: Request) -> tuple[Answer, Usage]:
        """Answers one request, in a call of its own; raises as ``answer_together``."""
        (answer,), usage = await self.answer_together([request])
        return answer, usage

    async def answer_together(self, requests: Sequence[Request]) -> tuple[list[Answer], Usage]:
        """Answers the requests about one query, in as few calls as possible.

        Returns:
            The answers, in the order of the requests, and what all of them cost.

        Raises:
            ModelError: the server cannot be reached, refuses, or does not score every passage; or
                a request has no passage.
            ValueError: the requests are about several queries.
        """
        if any(request.passage is None for request in requests):
            raise ModelError(f"{self.name} is a reranker: it scores passages, and does not write")
        if len({request.prompt for request in requests}) > 1:
            raise ValueError("the requests of a call must be about one query")
        query, texts = requests[0].prompt, [request.passage or "" for request in requests]
        odds, usage = await self._score(query, list(dict.fromkeys(texts)))
        return [odds[text] for text in texts], usage

    async def _score(self, query: str, texts: Sequence[str]) -> tuple[dict[str, Answer], Usage]:
        """Scores different texts; in halves where the server takes no more, or refuses one."""
        size = self.requests_per_call
        if len(texts) <= size:
            try:
                return await self._call(query, texts)
            except FilteredError:
                if len(texts) == 1:
                    return {texts[0]: Answer((math.nan,), (1,), problem="refused")}, Usage(0, 0)
            except RefusedError as refused:
                if len(texts) == 1 or not is_batch_too_large(refused):
                    raise self._error(
                        explain(refused, self._client, self.name, self._form.path),
                        refused.base_url,
                    ) from None
                self.requests_per_call = min(self.requests_per_call, len(texts) // 2)
            size = -(-len(texts) // 2)
        odds: dict[str, Answer] = {}
        usage = Usage(0, 0)
        for start in range(0, len(texts), size):
            more, cost = await self._score(query, texts[start : start + size])
            odds |= more
            usage = Usage(*map(sum, zip(usage, cost, strict=True)))
        return odds, usage

    async def _call(self, query: str, texts: Sequence[str]) -> tuple[dict[str, Answer], Usage]:
        body = self._form.body(self.name, query, texts) | self._extra
        scores, replies, retries = await self._client.post(
            self._form.path, body, lambda reply: parse_scores(reply, len(texts))
        )
        try:
            odds = [log_odds(score, is_log_odds=self._log_odds) for score in scores]
        except ModelError as error:
            raise self._error(str(error)) from None
        self._check_ties([score for score in scores if not math.isnan(score)])
        estimate = sum(estimate_tokens(query + text) for text in texts)
        counts = [tokens_in(reply) for reply in replies]
        tokens = sum(estimate if count is None else count for count in counts)
        answers = [
            Answer((value,), (1,), problem="unscored" if math.isnan(value) else "")
            for value in odds
        ]
        return dict(zip(texts, answers, strict=True)), Usage(tokens, 0, retries=retries)

    def _check_ties(self, scores: Sequence[float]) -> None:
        """Warns once where different passages of a query cannot be told apart by their scores."""
        if self._tied or len(scores) < _TIES:
            return
        if len(set(scores)) == 1:
            log.warning(
                "%s gives %d passages of a query the same score, %g: such scores rank nothing",
                self.name, len(scores), scores[0],
            )  # fmt: skip
            self._tied = True
        elif not self._log_odds and scores.count(1.0) >= _TIES:
            log.warning(
                "%s gives %d passages of a query a score of 1, which leaves them in the order of "
                "the first stage; log-odds tell them apart, where the server gives them (vLLM: "
                "`extra_body` {\"use_activation\": false, \"raw_scores\": true})",
                self.name, scores.count(1.0),
            )  # fmt: skip
            self._tied = True

    def _error(self, reason: str, base_url: str = "") -> ModelError:
        return ModelError(f"{base_url or self._client.base_url}{self._form.path}: {reason}")

    def length(self, request: Request) -> int:
        """Counts a request's tokens, or estimates them rather too high."""
        return self._counter.length(request, 0)

    def truncate(self, text: str, tokens: int) -> str:
        """Returns the longest prefix of whole characters with at most ``tokens`` tokens."""
        return self._counter.truncate(text, tokens)

    def escape(self, text: str) -> str:
        """Rewrites untrusted text so that nothing in it looks like a special token."""
        return self._counter.escape(text)

    async def close(self) -> None:
        """Closes the connections."""
        self._counter.close()
        await self._client.close()


def load(
    name: str,
    *,
    base_url: str | Sequence[str],
    tokenizer: str | None = None,
    settings: ServerSettings | None = None,
) -> RerankServer:
    """Returns a reranker behind a server, as ``load_server`` does."""
    settings = settings or ServerSettings()
    roots = [form.root for form in parse_forms(base_url)]
    endpoint = TokenizeEndpoint(roots, name, headers=settings.headers)
    return RerankServer(
        name,
        base_url=base_url,
        timeout=settings.timeout or _TIMEOUT,
        retries=settings.retries,
        counter=count_by(tokenizer, endpoint),
        settings=settings,
    )
