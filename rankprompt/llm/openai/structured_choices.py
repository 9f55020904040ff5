"""Restricts written answers to their choices, in the form that a server has for it."""

import json
import logging
import re
from collections.abc import Collection

from rankprompt.llm.base import Answer
from rankprompt.llm.openai.call_errors import JsonObject, RefusedError
from rankprompt.llm.openai.server_kind import LLAMA_CPP, SGLANG, UNKNOWN, VLLM, ServerKind
from rankprompt.llm.openai.tokenize_endpoint import TokenizeEndpoint

__all__ = ["StructuredChoices"]

log = logging.getLogger("rankprompt")

_FIELDS = {"structured_outputs", "regex", "grammar"}


class StructuredChoices:
    """Finds out at the first answers whether a server restricts them.

    vLLM's ``structured_outputs`` are also tried where ``/tokenize`` says that an unknown server is
    vLLM or one of its kind. Others ignore the field without a word, or refuse it.

    Args:
        endpoint: the server's ``/tokenize``.
        own: the names of the user's own fields, which may restrict answers in another way.

    Attributes:
        used: whether an answer was restricted.
    """

    def __init__(self, endpoint: TokenizeEndpoint, own: Collection[str] = ()) -> None:
        self._endpoint, self._can = endpoint, _FIELDS.isdisjoint(own)
        self.used = False

    def fields(self, choices: tuple[str, ...], kind: ServerKind | None = None) -> JsonObject:
        """What a request's body has in addition.

        Args:
            choices: the texts of which the answer is to be one; () for any text.
            kind: which program the server is; None before it was asked.
        """
        if not (choices and self._can):
            return {}
        name = (kind or UNKNOWN).name
        like_vllm = name == UNKNOWN.name and self._endpoint.context_length is not None
        if name == VLLM or like_vllm:
            return {"structured_outputs": {"choice": list(choices)}}
        if name == SGLANG:
            return {"regex": "|".join(map(re.escape, choices))}
        if name == LLAMA_CPP:
            # A string of GBNF has JSON's escapes.
            return {"grammar": f"root ::= {' | '.join(map(json.dumps, choices))}"}
        return {}

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
        if _FIELDS.isdisjoint(sent) or refused.status not in (400, 422):
            return False
        self._can = False
        return True
