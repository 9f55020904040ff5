"""The form of a request, which is adapted when a server refuses a field of it."""

import logging

from rankprompt.llm.openai.call_errors import JsonObject, RefusedError
from rankprompt.llm.openai.server_kind import VLLM, ServerKind

__all__ = ["RequestForm"]

log = logging.getLogger("rankprompt")

# The most that OpenAI lists; some servers list no more than 5.
_TOPS, _FEW_TOPS = 20, 5


class RequestForm:
    """Makes the bodies of requests to one model.

    Args:
        name: the model's name at the server.
        own_temperature: whether the user sets the temperature.
    """

    def __init__(self, name: str, *, own_temperature: bool) -> None:
        self._name, self._own_temperature = name, own_temperature
        self._limit_field, self._sends_temperature, self._tops = "max_tokens", True, _TOPS
        self._echoes, self._lists_prompts = True, False

    def body(self, prompt: str, limit: int, *, chat: bool) -> JsonObject:
        """The body of a request to write up to ``limit`` tokens."""
        body: JsonObject = {"model": self._name}
        if chat:
            body |= {"messages": [{"role": "user", "content": prompt}], self._limit_field: limit}
        else:
            body |= {"prompt": prompt, "max_tokens": limit}
        return body | ({"temperature": 0} if self._sends_temperature else {})

    def listing(self, *, chat: bool) -> JsonObject:
        """The fields that ask for the likeliest tokens."""
        return {"logprobs": True, "top_logprobs": self._tops} if chat else {"logprobs": self._tops}

    def echo(self, kind: ServerKind | None) -> JsonObject:
        """The fields that ask for the log-probabilities of the prompt's own tokens.

        Args:
            kind: which program the server is; None before it was asked.
        """
        self._lists_prompts = kind is not None and kind.name == VLLM
        return {"echo": True, "logprobs": 1} if self._echoes else {"prompt_logprobs": 0}

    def adapt(self, sent: JsonObject, refused: RefusedError) -> bool:
        """Learns from a refusal; returns whether the request can be sent in another form."""
        message = refused.message
        if "messages" in sent and "max_tokens" in sent and "max_completion_tokens" in message:
            self._limit_field = "max_completion_tokens"
        elif "temperature" in sent and "temperature" in message and not self._own_temperature:
            if self._sends_temperature:
                log.warning("%s takes no temperature: its answers may vary", self._name)
            self._sends_temperature = False
        elif _TOPS in (sent.get("logprobs"), sent.get("top_logprobs")) and "logprobs" in message:
            self._tops = _FEW_TOPS
        elif "echo" in sent and "echo" in message and self._lists_prompts:
            self._echoes = False
        else:
            return False
        return True
