"""A server's ``/tokenize``, beside its OpenAI-compatible paths."""

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import count

from rankprompt.errors import ModelError
from rankprompt.llm.openai.address import Address
from rankprompt.llm.openai.blocking_client import BlockingClient, CallError
from rankprompt.llm.openai.retrying_client import full_jitter
from rankprompt.llm.openai.tokenize_replies import Tokens, parse_text, parse_tokens

__all__ = ["SAMPLE", "TokenizeEndpoint"]

log = logging.getLogger("rankprompt")

SAMPLE = "A passage of plain words, written in 1234."
"""The text that is sent to find out whether a server has ``/tokenize``."""

_RETRIES = 6
# An address that never answered is probably mistyped.
_FIRST_RETRIES = 2


class TokenizeEndpoint:
    """Asks a server for the tokens of texts: vLLM, SGLang, llama.cpp or TGI.

    Nothing is sent before the first use, which finds out whether the server has the path. A body
    has the fields of all four, which ignore each other's.

    Args:
        addresses: the server's, or those of several with the same model.
        name: the model's name at the server.
        headers: to send with each call; their values are secrets.
        pause: returns the seconds to wait before a retry, given how many came before it.

    Attributes:
        calls: how many were made.
    """

    def __init__(
        self,
        addresses: Sequence[Address],
        name: str,
        *,
        headers: Mapping[str, str] | None = None,
        pause: Callable[[int], float] = full_jitter,
    ) -> None:
        roots = [one._replace(base=one.base.removesuffix("/v1")) for one in addresses]
        self._root, self._client = roots[0].base, BlockingClient(roots, headers)
        self._name, self._pause = name, pause
        self.calls = 0

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
        except (CallError, ValueError) as error:
            raise ModelError(f"{self._root}/tokenize: {_reason(error)}") from None

    def read_chat(self, chat: Mapping[str, object]) -> tuple[int, ...]:
        """Returns the ids of a chat's tokens, which vLLM and SGLang tell.

        Args:
            chat: the messages and what else the template takes, as in a request to answer.

        Raises:
            ValueError: the server does not say.
        """
        try:
            return parse_tokens(self._ask("/tokenize", {"model": self._name, **chat}, 0)).ids
        except CallError as error:
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
        except CallError as error:
            raise ValueError(_reason(error)) from error

    def close(self) -> None:
        """Closes the connection; a later use opens another."""
        self._client.close()

    @cached_property
    def _first(self) -> Tokens:
        try:
            return parse_tokens(self._ask("/tokenize", self._plain(SAMPLE), _FIRST_RETRIES))
        except (CallError, ValueError) as error:
            # Most servers have no such path. Where the server cannot be reached, the calls that
            # follow say so; and where a text is cut by an estimate, that is said.
            log.debug("%s/tokenize: %s", self._root, _reason(error))
            return Tokens((), (), None)

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
                return self._client.post(path, json.dumps(body).encode())
            except CallError as error:
                if retried >= retries or not error.transient:
                    raise
            time.sleep(self._pause(retried))
        raise AssertionError  # count() does not end


def _reason(error: Exception) -> str:
    """Says what went wrong, without the server's words, which may hold parts of the key."""
    return str(error) if isinstance(error, CallError) else "a reply without tokens"
