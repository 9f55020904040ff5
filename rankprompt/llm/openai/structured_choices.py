"""Restricts written answers to their choices, where a server can (vLLM's structured outputs)."""

import logging

from rankprompt.llm.base import Answer
from rankprompt.llm.openai.call_errors import JsonObject, RefusedError
from rankprompt.llm.openai.tokenize_endpoint import TokenizeEndpoint

__all__ = ["StructuredChoices"]

log = logging.getLogger("rankprompt")

_FIELD = "structured_outputs"


class StructuredChoices:
    """Finds out at the first answers whether a server restricts them.

    It is tried only where ``/tokenize`` says that the server is vLLM or one of its kind, because
    others ignore the field without a word, or refuse it.

    Args:
        endpoint: the server's ``/tokenize``.

    Attributes:
        used: whether an answer was restricted.
    """

    def __init__(self, endpoint: TokenizeEndpoint) -> None:
        self._endpoint, self._can = endpoint, True
        self.used = False

    def fields(self, choices: tuple[str, ...]) -> JsonObject:
        """What a request's body has in addition."""
        if not (choices and self._can) or self._endpoint.context_length is None:
            return {}
        return {_FIELD: {"choice": list(choices)}}

    def check(self, sent: bool, choices: tuple[str, ...], answer: Answer) -> None:
        """Looks whether an answer is what it was restricted to."""
        if not sent or answer.problem:
            return
        if answer.text.strip() in choices:
            self.used = True
        elif not self.used:
            log.debug("the server does not restrict its answers")
            self._can = False

    def drop(self, sent: JsonObject, refused: RefusedError) -> bool:
        """Leaves the field out where the server refuses it; returns whether that is so."""
        if _FIELD not in sent or refused.status not in (400, 422):
            return False
        self._can = False
        return True
