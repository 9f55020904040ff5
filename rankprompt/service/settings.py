"""The limits and the keys of a service."""

import os
from dataclasses import dataclass
from typing import Self

from rankprompt.errors import InputError

__all__ = ["KEYS", "ServiceSettings"]

KEYS = "RANKPROMPT_SERVE_KEYS"
"""The environment variable with the keys that clients may use, separated by commas."""


@dataclass(frozen=True)
class ServiceSettings:
    """The limits and the keys of a service.

    Attributes:
        max_queue: the most requests that wait or are answered at a time; more get 429.
        timeout: the most time for a request, in seconds, its body included; then it gets 504.
        max_body: the most bytes of a request's body; more get 413.
        max_documents: the most documents of a request; more get 413.
        max_questions: the most questions that a request may be expected to need.
        variants: how many combinations of options of requests are kept at a time.
        hosts: the names of this server that requests may have in their header Host; empty for any.
        keys: what clients must send, one of them; empty where anyone may ask.
    """

    max_queue: int = 256
    timeout: float = 60.0
    max_body: int = 16_000_000
    max_documents: int = 10_000
    max_questions: int = 20_000
    variants: int = 32
    hosts: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("max_queue", "max_body", "max_documents", "max_questions", "variants"):
            if getattr(self, name) < 1:
                raise InputError(f"`{name}` must be at least 1, not {getattr(self, name)}")
        if not self.timeout > 0:
            raise InputError(f"`timeout` must be above 0, not {self.timeout:g}")

    @classmethod
    def from_environment(cls, **limits: float) -> Self:
        """Settings with these limits and the keys of the environment.

        Raises:
            InputError: a limit is out of bounds, or a key cannot be sent.
        """
        keys = tuple(key for key in map(str.strip, os.environ.get(KEYS, "").split(",")) if key)
        if not all(key.isascii() and key.isprintable() and " " not in key for key in keys):
            raise InputError(f"a key in {KEYS} holds characters that no header can")
        if KEYS in os.environ and not keys:
            raise InputError(f"{KEYS} is set and holds no key; unset it to let anyone ask")
        return cls(**limits, keys=keys)  # type: ignore[arg-type]
