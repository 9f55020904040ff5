"""The server back end: any server with OpenAI's chat or completions protocol."""

import math
from collections.abc import Callable, Sequence
from functools import partial

from rankprompt.errors import InputError, ModelError
from rankprompt.llm.base import Answer, Request, Usage
from rankprompt.llm.openai import replies
from rankprompt.llm.openai.call_errors import FilteredError, JsonObject, RefusedError
from rankprompt.llm.openai.exact_choices import ExactChoices
from rankprompt.llm.openai.reading import Read, Reader
from rankprompt.llm.openai.replies import TokenEstimate
from rankprompt.llm.openai.request_body import BodyCompleter
from rankprompt.llm.openai.request_form import RequestForm
from rankprompt.llm.openai.retrying_client import RetryingClient, full_jitter
from rankprompt.llm.openai.same_model import require_same_model
from rankprompt.llm.openai.server_kind import KnownServer
from rankprompt.llm.openai.settings import ServerSettings
from rankprompt.llm.openai.structured_choices import StructuredChoices
from rankprompt.llm.openai.tokens import ByteEstimate, TokenCounter, estimate_tokens
from rankprompt.llm.openai.top_logprobs import parse_options
from rankprompt.llm.openai.weights import weights_digest

__all__ = ["TIMEOUT", "OpenAIModel"]

# Changes with how replies are read, so that a journal's answers of an older form are not used.
_FORM = 3
# Words that a chat model may write before it names an option, in tokens.
_PREAMBLE = 5

TIMEOUT = 60.0
"""Seconds that a call may take in all, where nothing else is said."""


class OpenAIModel:
    """A model behind an OpenAI-compatible server.

    The key comes from the environment variable RANKPROMPT_API_KEY, or else OPENAI_API_KEY. The kind
    of call depends on a request's options:

    * None: the model generates greedily. Of a reasoning model, only the text after its reasoning is
      the answer. (If the chat template opens the reasoning and the server does not separate it from
      the answer, reasoning that the token limit cut off looks like a cut answer: start the server
      with its reasoning parser, or raise the prompt's ``max_tokens``.)
    * Several, in chat: where the server tells the log-probabilities of given tokens (vLLM, SGLang),
      the options' are exact (``ExactChoices`` says how). Elsewhere the model writes a few words,
      and they are those of the tokens listed at the position where the options differ
      (``read_options`` says how).
    * Several, without chat: what the options share is put at the prompt's end, and the next token
      decides. The shared part's log-likelihood is left out: it is the same for all options.
    * One, without chat: the server echoes the prompt with its tokens' log-probabilities, and those
      of the option's tokens are added up (``read_echo`` says which they are).

    ``Reader`` says what is no answer, and why.

    Args:
        name: the model's name at the server.
        base_url: such as ``http://localhost:8080/v1``; or those of several servers.
        api: "chat" or "completions" for every request; "auto" for what each request says.
        timeout: seconds that a call may take in all.
        retries: how often a failed call may be retried.
        context_length: maximum tokens of prompt and answer together, if the server does not say.
        counter: counts and cuts tokens; None for an estimate.
        exact: scores options in chat token by token, where the server can; None for never.
        structured: restricts written answers, where the server can; None for never.
        settings: how it is called; None for the defaults.
        pause: returns the seconds to wait before a retry, given how many came before it.

    Raises:
        InputError: no such ``api``.
        ModelError: the address or the key cannot be used.
    """

    def __init__(
        self,
        name: str,
        *,
        base_url: str | Sequence[str],
        api: str = "auto",
        timeout: float = TIMEOUT,
        retries: int = 6,
        context_length: int = 8192,
        counter: TokenCounter | None = None,
        exact: ExactChoices | None = None,
        structured: StructuredChoices | None = None,
        settings: ServerSettings | None = None,
        pause: Callable[[int], float] = full_jitter,
    ) -> None:
        if api not in ("auto", "chat", "completions"):
            raise InputError(f"api must be auto, chat or completions, not {api!r}")
        self.name, self._context_length = name, context_length
        self._counter, self._exact = counter or ByteEstimate(), exact
        self._structured, self._api = structured, api
        self._settings = settings or ServerSettings()
        self._body_completer = BodyCompleter(name, self._settings)
        self._client = RetryingClient(
            base_url, timeout=timeout, retries=retries, headers=self._settings.headers, pause=pause
        )
        served_as = self._settings.model_id or self._client.description
        self.fingerprint = f"openai {_FORM} {served_as} {name} {api}"
        if digest := self._body_completer.fingerprint:
            self.fingerprint += f" as {digest}"
        self._form = RequestForm(name, own_temperature="temperature" in self._settings.extra_body)
        self._reader = Reader(name)
        self._server = KnownServer(self._client, name)

    async def open(self) -> None:
        """Asks the server which weights it has, for the fingerprint; not with a model id."""
        if self._settings.model_id:
            return
        await require_same_model(self._client, "/models", partial(weights_digest, name=self.name))
        if digest := await self._server.ask():
            self.fingerprint += f" of {digest}"

    async def answer(self, request: Request) -> tuple[Answer, Usage]:
        """Answers one request; ``Answer.tokens`` is 1 for each of several options that is listed.

        Raises:
            ModelError: the server cannot be reached, refuses, or cannot answer this kind.
        """
        await self._server.ask()
        was_off = self._body_completer.thinking_is_off
        try:
            answer, usage = await self._answer(request)
            thought = answer.problem == "thinking" and self._uses_chat(request) and not was_off
            if thought and self._body_completer.switch_thinking_off():
                answer, more = await self._answer(request)
                usage = Usage(*map(sum, zip(usage, more, strict=True)))
        except FilteredError as refused:
            unreadable = (math.nan,) * len(request.options)
            return Answer(unreadable, (1,) * len(unreadable), problem="refused"), refused.usage
        return answer, usage

    async def _answer(self, request: Request) -> tuple[Answer, Usage]:
        chat = self._uses_chat(request)
        if not request.options:
            if request.max_tokens < 1:
                raise ModelError("a request must have options, or tokens to generate")
            return await self._generate(request, chat=chat)
        if not all(option.strip() for option in request.options):
            raise ModelError("an option is empty: there is nothing to score")
        if len(request.options) > 1:
            return await self._choose(request, chat=chat)
        if chat:
            raise ModelError(f"{self._client.base_url}: {replies.no_echo('a chat echoes nothing')}")
        return await self._score(request)

    @property
    def context_length(self) -> int:
        """The maximum length of prompt and answer together, in tokens."""
        return self._counter.context_length(self._context_length)

    @property
    def tokens_counted_by(self) -> str:
        """What counts tokens, for the manifest: "tokenizer FOLDER", "server" or "estimate"."""
        return self._counter.description

    @property
    def served_by(self) -> str | None:
        """The server's program and version, for the manifest; None before it was asked."""
        return str(self._server.kind) if self._server.kind else None

    @property
    def choices_read_from(self) -> str:
        """What tells the model's choices, for the manifest, as found out by asking."""
        if self._exact and self._exact.used:
            return "the tokens asked for"
        if self._structured and self._structured.used:
            return "structured answers"
        return "the likeliest tokens, or text"

    @property
    def listed(self) -> tuple[str, ...]:
        """The tokens that the server listed at the last choice; none where it was exact."""
        return self._reader.listed

    def length(self, request: Request) -> int:
        """Counts a request's tokens, or estimates them rather too high."""
        options = (_PREAMBLE + estimate_tokens(option) for option in request.options)
        chat = self._uses_chat(request)
        length = self._counter.length(
            request._replace(chat=chat), max(request.max_tokens, *options, 0)
        )
        return length + self._body_completer.room * chat

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

    def _uses_chat(self, request: Request) -> bool:
        return request.chat if self._api == "auto" else self._api == "chat"

    async def _generate(self, request: Request, *, chat: bool) -> tuple[Answer, Usage]:
        structured, restricted = self._structured, False

        def body() -> JsonObject:
            nonlocal restricted
            more = {}
            if structured and chat:
                more = structured.fields(request.choices, self._server.kind)
            restricted = bool(more)
            return self._form.body(request.prompt, request.max_tokens, chat=chat) | more

        answer, usage = await self._call(
            request,
            body,
            self._reader.generated(request.prompt),
            TokenEstimate(estimate_tokens(request.prompt), request.max_tokens),
        )
        if structured:
            structured.check(restricted, request.choices, answer)
        return answer._replace(text=self._client.without_key(answer.text)), usage

    async def _choose(self, request: Request, *, chat: bool) -> tuple[Answer, Usage]:
        # A model that is to reason does so before it chooses.
        if chat and self._exact and not self._body_completer.room:
            one_token = self._body_completer.complete(self._form.body(request.prompt, 1, chat=True))
            if scored := await self._exact.score(
                self._client, one_token, request.options, self._server.kind
            ):
                return scored
        options = parse_options(request.options)
        prompt = request.prompt if chat else request.prompt + options.stem
        rests = options if chat else parse_options(options.rests)
        one_token_tells = rests.plain and not chat
        limit = 1 if one_token_tells else _PREAMBLE + estimate_tokens(rests.prefix)

        def body() -> JsonObject:
            return self._form.body(prompt, limit, chat=chat) | self._form.listing(chat=chat)

        read = self._reader.chosen(rests, prompt, chat=chat)
        return await self._call(request, body, read, TokenEstimate(estimate_tokens(prompt), limit))

    async def _score(self, request: Request) -> tuple[Answer, Usage]:
        text = request.prompt + request.options[0]

        def body() -> JsonObject:
            # One token is generated and not read: some servers take 0 for no limit.
            return self._form.body(text, 1, chat=False) | self._form.echo(self._server.kind)

        read = self._reader.echoed(text, len(request.prompt))
        return await self._call(request, body, read, TokenEstimate(estimate_tokens(text), 1))

    async def _call(
        self,
        request: Request,
        body: Callable[[], JsonObject],
        read: Read,
        estimate: TokenEstimate,
    ) -> tuple[Answer, Usage]:
        path = "/chat/completions" if self._uses_chat(request) else "/completions"
        adapted = 0
        while True:
            sent = self._body_completer.complete(body())
            try:
                content, received, retries = await self._post(request, path, sent, read)
            except FilteredError as filtered:
                retries = filtered.retries + adapted
                filtered.usage = replies.usage_of(filtered.replies, estimate, retries)
                raise
            except RefusedError as refused:
                if not self._adapt(sent, refused):
                    reason = replies.explain_refusal(
                        refused, self._client, self.name, path, len(request.options)
                    )
                    raise ModelError(
                        f"{refused.base_url or self._client.base_url}: {reason}"
                    ) from None
                adapted += 1
            else:
                return content, replies.usage_of(received, estimate, retries + adapted)

    async def _post(
        self, request: Request, path: str, body: JsonObject, read: Read
    ) -> tuple[Answer, list[JsonObject], int]:
        """Sends the body of a request, as ``RetryingClient.post``."""
        del request  # the batch API names it
        return await self._client.post(path, body, read)

    def _adapt(self, sent: JsonObject, refused: RefusedError) -> bool:
        """Learns from a refusal; returns whether the request can be sent in another form."""
        return (
            self._form.adapt(sent, refused)
            or bool(self._structured and self._structured.drop(sent, refused))
            or self._body_completer.drop_refused_switch(sent, refused)
        )
