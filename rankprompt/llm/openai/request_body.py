"""Completes the bodies of requests: switches of thinking, effort, the user's own fields."""

import json
import logging
import re
from hashlib import blake2b

from rankprompt.llm.openai.call_errors import JsonObject, RefusedError
from rankprompt.llm.openai.settings import ServerSettings

__all__ = ["ROOM", "BodyCompleter"]

log = logging.getLogger("rankprompt")

ROOM = 4096
"""Tokens for reasoning, on top of the answer's, where the model is to reason."""

_SWITCH = "chat_template_kwargs"
_UNKNOWN = re.compile(r"\bextra\b|unrecogni[sz]ed|unknown|unexpected|not permitted", re.I)
_LIMITS = ("max_tokens", "max_completion_tokens")


class BodyCompleter:
    """Completes the bodies of one model's requests, as its settings say.

    Args:
        name: the model's, for messages.
        settings: the user's.
    """

    def __init__(self, name: str, settings: ServerSettings) -> None:
        self._name, self._settings = name, settings
        self.thinking_is_off = settings.thinking == "off"
        self._switch_refused = False

    @property
    def room(self) -> int:
        """Tokens that reasoning may take in a chat, in addition to the answer."""
        settings = self._settings
        effort = settings.reasoning_effort not in (None, "none")
        thinks = settings.thinking == "on" or (settings.thinking == "auto" and effort)
        return ROOM if thinks else 0

    @property
    def fingerprint(self) -> str:
        """A digest of what may change answers; "" where nothing was set.

        "auto" is one model, whether or not thinking was switched off half-way: an answer is read
        after the reasoning, and where that leaves none, it is asked again and not kept.
        """
        settings = self._settings
        thinking = settings.thinking if settings.thinking != "auto" else None
        extra = dict(settings.extra_body)
        if not (thinking or settings.reasoning_effort or extra):
            return ""
        content = json.dumps([thinking, settings.reasoning_effort, extra], sort_keys=True)
        return blake2b(content.encode(), digest_size=8).hexdigest()

    def complete(self, body: JsonObject) -> JsonObject:
        """Adds to a request what the settings say; the user's own fields count most."""
        more: JsonObject = {}
        if "messages" in body:
            if self._settings.reasoning_effort:
                more["reasoning_effort"] = self._settings.reasoning_effort
            if self._settings.thinking == "on":
                # DeepSeek's templates have a name of their own for it.
                more[_SWITCH] = {"enable_thinking": True, "thinking": True}
            elif self.thinking_is_off:
                more[_SWITCH] = {"enable_thinking": False}
            if self._switch_refused:
                more.pop(_SWITCH, None)
            for name in _LIMITS:
                if isinstance(limit := body.get(name), int) and self.room:
                    more[name] = limit + self.room
        for name, value in self._settings.extra_body.items():
            before = more.get(name, body.get(name))
            if isinstance(value, dict) and isinstance(before, dict):
                value = before | value
            more[name] = value
        return body | more

    def switch_thinking_off(self) -> bool:
        """Says in later chats that the model is not to think; returns whether that may help."""
        chosen = _SWITCH in self._settings.extra_body
        if self._settings.thinking != "auto" or self._switch_refused or chosen or self.room:
            return False
        if not self.thinking_is_off:
            log.warning(
                "%s thinks before it answers, which leaves no room for an answer: its thinking is "
                "switched off from here on (`thinking` on keeps it)",
                self._name,
            )
        self.thinking_is_off = True
        return True

    def drop_refused_switch(self, sent: JsonObject, refused: RefusedError) -> bool:
        """Leaves the switch out where the server refuses it; returns whether that is so."""
        if _SWITCH not in sent or _SWITCH in self._settings.extra_body:
            return False
        named = _SWITCH in refused.message + refused.details
        if not named and not (refused.status in (400, 422) and _UNKNOWN.search(refused.message)):
            return False
        if not self._switch_refused:
            log.warning(
                "the server of %s takes no %s, so `thinking` is as the server has it; "
                "`reasoning_effort` or `extra_body` may say it in another way",
                self._name,
                _SWITCH,
            )
        self._switch_refused = True
        return True
