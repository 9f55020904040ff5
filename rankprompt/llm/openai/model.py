"""The server backend: any server that speaks OpenAI's chat or completions protocol."""

import logging
import math
from collections.abc import Callable
from typing import Any, TypeVar

from rankprompt.errors import InputError, ModelError
from rankprompt.llm.base import Answer, AsyncLanguageModel, Request, Usage
from rankprompt.llm.openai.http_client import (
    RefusedError,
    Server,
    Transport,
    UnusableError,
    full_jitter,
)
from rankprompt.llm.openai.replies import (
    Cost,
    answer_place,
    echoed,
    explain,
    first_choice,
    no_echo,
    no_logprobs,
    still_thinking,
    usage_of,
    written,
)
from rankprompt.llm.openai.top_logprobs import (
    answer_start,
    parted,
    read_next,
    read_options,
    read_positions,
)
from rankprompt.llm.special_tokens import LIKELY, escape

__all__ = ["OpenAIModel"]

log = logging.getLogger("rankprompt")

T = TypeVar("T")

# Changes with what we make of a server's answers, so that a journal's old ones are not used.
_FORM = 2
# The most that OpenAI lists; some list no more than 5.
_TOPS, _FEW_TOPS = 20, 5
# Words that a chat model may say before it names an option, in tokens.
_PREAMBLE = 5
# A chat template's own tokens, generously.
_TEMPLATE = 32


class OpenAIModel:
    """A model behind an OpenAI-compatible server.

    The key comes from the environment variable RANKPROMPT_API_KEY, or else OPENAI_API_KEY.

    What a request becomes depends on its options:

    * None: the model writes greedily. Of a thinking model only what follows its thinking is read,
      and nothing where it did not come to an end; ``reasoning_content`` is not an answer. (Where
      the chat template opens the thinking and the server does not part it from the answer, thinking
      that the token limit cut off cannot be told from an answer: start the server with its
      reasoning parser, or raise the prompt's ``max_tokens``.)
    * Several, in chat: the model writes a few words, and the options' log-likelihoods are those of
      the tokens listed at the place where it parts the options (``read_options`` says how). NaN
      where it wrote none of them.
    * Several, otherwise: what the options share is put at the prompt's end, and the next token
      decides. That part of their log-likelihoods is left out: it is the same for all.
    * One, not in chat: the prompt comes back with its tokens' log-probabilities (``echo``), and
      those of the option are added up.

    Args:
        name: the model's name at the server.
        base_url: such as ``http://localhost:8080/v1``.
        api: "chat" or "completions" for every request; "auto" for what each prompt asks for.
        timeout: seconds that a call may take in all.
        retries: how often a call that failed in passing may be repeated.
        context_length: tokens that prompt and answer may have together; servers do not say.
        transport: how bytes travel, where it is not the ordinary way.
        pause: gives the seconds to wait before a repetition, by how many there were.

    Raises:
        InputError: no such ``api``.
        ModelError: the address or the key cannot be used.
    """

    def __init__(
        self,
        name: str,
        *,
        base_url: str,
        api: str = "auto",
        timeout: float = 60.0,
        retries: int = 6,
        context_length: int = 8192,
        transport: Transport | None = None,
        pause: Callable[[int], float] = full_jitter,
    ) -> None:
        if api not in ("auto", "chat", "completions"):
            raise InputError(f"api must be auto, chat or completions, not {api!r}")
        self.name, self.context_length = name, context_length
        self._api = api
        self._server = Server(
            base_url, timeout=timeout, retries=retries, pause=pause, transport=transport
        )
        self.fingerprint = f"openai {_FORM} {self._server.base_url} {name} {api}"
        # What a server turned out to want otherwise.
        self._limit, self._greedy, self._tops = "max_tokens", True, _TOPS
        self._listed = False

    async def answer(self, request: Request) -> tuple[Answer, Usage]:
        """Answers one request; ``Answer.tokens`` is 1 for each of several options.

        Raises:
            ModelError: the server cannot be reached, refuses, or cannot do what was asked.
        """
        chat = self._chat(request)
        if not request.options:
            if request.max_tokens < 1:
                raise ModelError("a request must have options, or tokens to generate")
            return await self._write(request, chat=chat)
        if not all(option.strip() for option in request.options):
            raise ModelError("an option is empty: there is nothing to score")
        if len(request.options) > 1:
            return await self._choose(request, chat=chat)
        if chat:
            raise ModelError(self._server.told(no_echo("a chat echoes nothing")))
        return await self._score(request)

    def length(self, request: Request) -> int:
        """The tokens of a request, guessed from its bytes; see ``cut``."""
        longest = max(
            [request.max_tokens, *(_PREAMBLE + _tokens(option) for option in request.options)]
        )
        return _tokens(request.prompt) + longest + _TEMPLATE * self._chat(request)

    def truncate(self, text: str, tokens: int) -> str:
        """The longest start of a text with at most ``tokens`` tokens, on a character's bound.

        The server's tokenizer is not known. A token is taken for three bytes of UTF-8: English has
        more in a token, Chinese about as many, so most texts have fewer tokens than this says. Long
        numbers may have more; the server refuses then what does not fit.
        """
        content = text.encode("utf-8", "surrogatepass")
        end = max(0, 3 * tokens)
        if len(content) <= end:
            return text
        while end and content[end] & 0xC0 == 0x80:  # amid a character
            end -= 1
        return content[:end].decode("utf-8", "surrogatepass")

    def escape(self, text: str) -> str:
        """A text of others, so written that none of it looks like a special token."""
        return escape(text, LIKELY)

    async def close(self) -> None:
        """Ends the connections."""
        await self._server.close()

    def _chat(self, request: Request) -> bool:
        return request.chat if self._api == "auto" else self._api == "chat"

    async def _write(self, request: Request, *, chat: bool) -> tuple[Answer, Usage]:
        def read(reply: dict[str, Any]) -> str:
            text = written(first_choice(reply))
            start = answer_start(text)
            return "" if start is None else text[start:]

        guess = Cost(_tokens(request.prompt), request.max_tokens)
        text, usage = await self._ask(
            request, lambda: self._body(request.prompt, request.max_tokens, chat=chat), read, guess
        )
        return Answer(text=self._server.scrubbed(text)), usage

    async def _choose(self, request: Request, *, chat: bool) -> tuple[Answer, Usage]:
        options = parted(request.options)
        prompt = request.prompt if chat else request.prompt + options.stem
        rests = options if chat else parted(options.rests)
        # Digits may come with a token for the space before them.
        plain = not rests.same_letters and rests.parting[0].isalpha()
        limit = 1 if plain and not chat else _PREAMBLE + _tokens(rests.parting)

        def body() -> dict[str, Any]:
            tops = (
                {"logprobs": True, "top_logprobs": self._tops} if chat else {"logprobs": self._tops}
            )
            return self._body(prompt, limit, chat=chat) | tops

        def read(reply: dict[str, Any]) -> tuple[float, ...]:
            choice = first_choice(reply)
            positions = read_positions(choice.get("logprobs"))
            if positions is None:
                if chat and still_thinking(choice):
                    return (math.nan,) * len(request.options)
                # One that has listed them before will do so again.
                raise UnusableError(
                    no_logprobs(self.name, "none listed"), doubtful=not self._listed
                )
            self._listed = True
            if not chat:
                return read_next(rests, positions)
            stream = b"".join(one.token for one in positions)
            start = answer_place(stream.decode("utf-8", "replace"), choice)
            if start is None:
                return (math.nan,) * len(request.options)
            return read_options(options, positions, start)

        found, usage = await self._ask(request, body, read, Cost(_tokens(prompt), limit))
        return Answer(found, (1,) * len(found)), usage

    async def _score(self, request: Request) -> tuple[Answer, Usage]:
        whole = request.prompt + request.options[0]

        def body() -> dict[str, Any]:
            # One token is written and not read: some servers take 0 for no limit.
            return self._body(whole, 1, chat=False) | {"echo": True, "logprobs": 1}

        def read(reply: dict[str, Any]) -> list[float]:
            found = echoed(first_choice(reply).get("logprobs"), whole, len(request.prompt))
            if not found:
                raise UnusableError(no_echo("none echoed"), doubtful=not self._listed)
            self._listed = True
            return found

        found, usage = await self._ask(request, body, read, Cost(_tokens(whole), 1))
        return Answer((math.fsum(found),), (len(found),)), usage

    def _body(self, prompt: str, limit: int, *, chat: bool) -> dict[str, Any]:
        body: dict[str, Any] = {"model": self.name}
        if chat:
            body |= {"messages": [{"role": "user", "content": prompt}], self._limit: limit}
        else:
            body |= {"prompt": prompt, "max_tokens": limit}
        return body | ({"temperature": 0} if self._greedy else {})

    async def _ask(
        self,
        request: Request,
        body: Callable[[], dict[str, Any]],
        read: Callable[[dict[str, Any]], T],
        guess: Cost,
    ) -> tuple[T, Usage]:
        path = "/chat/completions" if self._chat(request) else "/completions"
        adapted = 0
        while True:
            sent = body()
            try:
                posted = await self._server.post(path, sent, read)
            except RefusedError as refused:
                if not self._adapt(sent, refused.message):
                    told = explain(refused, self.name, path, len(request.options))
                    raise ModelError(self._server.told(told)) from None
                adapted += 1
            else:
                return posted.content, usage_of(posted.replies, guess, posted.repeated + adapted)

    def _adapt(self, sent: dict[str, Any], message: str) -> bool:
        """Learns from a refusal; whether there is another way to ask."""
        if "max_tokens" in sent and "max_completion_tokens" in message:
            self._limit = "max_completion_tokens"
        elif "temperature" in sent and "temperature" in message:
            if self._greedy:
                log.warning("%s takes no temperature: its answers may vary", self.name)
            self._greedy = False
        elif _TOPS in (sent.get("logprobs"), sent.get("top_logprobs")) and "logprobs" in message:
            self._tops = _FEW_TOPS
        else:
            return False
        return True


def _tokens(text: str) -> int:
    return -(-len(text.encode("utf-8", "surrogatepass")) // 3)


_: type[AsyncLanguageModel] = OpenAIModel
