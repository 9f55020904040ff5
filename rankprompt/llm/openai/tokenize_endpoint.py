"""A server's ``/tokenize``, beside its OpenAI-compatible paths."""

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import count

import httpx2 as httpx

from rankprompt.errors import ModelError
from rankprompt.llm.openai.address import Address, call_headers, read_key
from rankprompt.llm.openai.retrying_client import full_jitter
from rankprompt.llm.openai.tokenize_replies import Tokens, parse_text, parse_tokens

__all__ = ["SAMPLE", "TokenizeEndpoint"]

log = logging.getLogger("rankprompt")

SAMPLE = "A passage of plain words, written in 1234."
"""The text that is sent to find out whether a server has ``/tokenize``."""

_TRANSIENT = {408, 409, 425, 429}
_RETRIES = 6
# An address that never answered is probably mistyped.
_FIRST_RETRIES = 2


class TokenizeEndpoint:
    """Asks a server for the tokens of texts: vLLM, SGLang, llama.cpp or TGI.

    Nothing is sent before the first use, which finds out whether the server has the path. A body
    has the fields of all four, which ignore each other's.

    Args:
        address: the server's.
        name: the model's name at the server.
        headers: to send with each call; their values are secrets.
        pause: returns the seconds to wait before a retry, given how many came before it.

    Attributes:
        calls: how many were made.
    """

    def __init__(
        self,
        address: Address,
        name: str,
        *,
        headers: Mapping[str, str] | None = None,
        pause: Callable[[int], float] = full_jitter,
    ) -> None:
        self._address = address._replace(base=address.base.removesuffix("/v1"))
        self._name, self._pause = name, pause
        self.calls = 0
        self._headers = call_headers(address, read_key(address.keys)[1], headers)

    @property
    def sample(self) -> tuple[int, ...]:
        """The ids of SAMPLE's tokens; empty if the server has no ``/tokenize``."""
        return self._first.ids

    @property
    def context_length(self) -> int | None:
        """The maximum length of prompt and answer together; None if the server does not say."""
        return self._first.context_length

    def read(self, text: str) -> Tokens:
        """Asks for a text's tokens.

        Raises:
            ModelError: the server does not answer.
        """
        try:
            return parse_tokens(self._ask("/tokenize", self._plain(text), _RETRIES))
        except (httpx.HTTPError, ValueError) as error:
            raise ModelError(f"{self._address.base}/tokenize: {_reason(error)}") from None

    def read_chat(self, chat: Mapping[str, object]) -> tuple[int, ...]:
        """Returns the ids of a chat's tokens, which vLLM and SGLang tell.

        Args:
            chat: the messages and what else the template takes, as in a request to answer.

        Raises:
            ValueError: the server does not say.
        """
        try:
            return parse_tokens(self._ask("/tokenize", {"model": self._name, **chat}, 0)).ids
        except httpx.HTTPError as error:
            raise ValueError(_reason(error)) from error

    def write(self, ids: Sequence[int]) -> str:
        """Returns the text of tokens, which vLLM and SGLang tell.

        Raises:
            ValueError: the server does not say.
        """
        try:
            # SGLang leaves special tokens out unless it is told not to.
            body = {"model": self._name, "tokens": list(ids), "skip_special_tokens": False}
            return parse_text(self._ask("/detokenize", body, 0))
        except httpx.HTTPError as error:
            raise ValueError(_reason(error)) from error

    def close(self) -> None:
        """Closes the connection; a later use opens another."""
        if client := self.__dict__.pop("_client", None):
            client.close()

    @cached_property
    def _first(self) -> Tokens:
        try:
            return parse_tokens(self._ask("/tokenize", self._plain(SAMPLE), _FIRST_RETRIES))
        except (httpx.HTTPError, ValueError) as error:
            # Most servers have no such path. Where the server cannot be reached, the calls that
            # follow say so; and where a text is cut by an estimate, that is said.
            log.debug("%s/tokenize: %s", self._address.base, _reason(error))
            return Tokens((), (), None)

    @cached_property
    def _client(self) -> httpx.Client:
        return httpx.Client(timeout=httpx.Timeout(60.0, connect=10.0), follow_redirects=False)

    def _plain(self, text: str) -> dict[str, object]:
        return {
            "model": self._name,
            **dict.fromkeys(("prompt", "content", "inputs"), text),
            "add_special_tokens": False,
            "return_token_strs": True,
            "with_pieces": True,
        }

    def _ask(self, path: str, body: Mapping[str, object], retries: int) -> bytes:
        for retried in count():
            try:
                self.calls += 1
                response = self._client.post(
                    self._address.url(path),
                    content=json.dumps(body).encode(),
                    headers=self._headers,
                )
                response.raise_for_status()
                return response.content
            except httpx.HTTPError as error:
                if retried >= retries or not _is_transient(error):
                    raise
            time.sleep(self._pause(retried))
        raise AssertionError  # count() does not end


def _is_transient(error: httpx.HTTPError) -> bool:
    """Whether a retry may bring an answer."""
    if isinstance(error, httpx.HTTPStatusError):
        status = error.response.status_code
        return status in _TRANSIENT or (status >= 500 and status != 501)
    return True


def _reason(error: Exception) -> str:
    """Says what went wrong, without the server's words, which may hold parts of the key."""
    if isinstance(error, httpx.HTTPStatusError):
        return f"status {error.response.status_code}"
    if isinstance(error, httpx.HTTPError):
        return f"cannot be reached ({type(error).__name__})"
    return "a reply without tokens"
