"""Which program a server is, by what it says of itself: nothing is guessed."""

import asyncio
import logging
from typing import NamedTuple

from rankprompt.llm.openai.call_errors import (
    FilteredError,
    JsonObject,
    RefusedError,
    UnusableError,
)
from rankprompt.llm.openai.retrying_client import RetryingClient
from rankprompt.llm.openai.weights import fetch_models, models_named, weights_digest

__all__ = [
    "LLAMA_CPP", "OLLAMA", "SGLANG", "TGI", "UNKNOWN", "VLLM", "KnownServer", "ServerKind",
    "detect",
]  # fmt: skip

log = logging.getLogger("rankprompt")

VLLM, SGLANG, LLAMA_CPP, OLLAMA, TGI = "vLLM", "SGLang", "llama.cpp", "Ollama", "TGI"


class ServerKind(NamedTuple):
    """The program that serves a model, as in ``vLLM 0.32.0``.

    Attributes:
        name: one of this module's names; "" for a server that is none of these, or does not say.
        version: as the server says it.
    """

    name: str = ""
    version: str = ""

    def __str__(self) -> str:
        """The name and the version; "unknown" without a name."""
        return f"{self.name} {self.version}".strip() or "unknown"


UNKNOWN = ServerKind()
"""A server that is not told from others: what it can do is found out by trying."""


class _Signs(NamedTuple):
    """Paths beside the base URL, of which one has the version in a field."""

    name: str
    paths: tuple[str, ...]
    field: str


# By ``owned_by`` in the list of models; a server of TGI has the model's own name there.
_SIGNS = {
    "vllm": _Signs(VLLM, ("version",), "version"),
    "sglang": _Signs(SGLANG, ("server_info", "get_server_info"), "version"),
    "llamacpp": _Signs(LLAMA_CPP, ("props",), "build_info"),
    "library": _Signs(OLLAMA, ("api/version",), "version"),
}
_TGI = _Signs(TGI, ("info",), "version")


class KnownServer:
    """What a server says of itself and of its model; it is asked once.

    Args:
        client: asks.
        name: the model's name at the server.

    Attributes:
        kind: which program it is; None before it was asked.

    Examples:
        >>> str(ServerKind("vLLM", "0.32.0")), str(UNKNOWN)
        ('vLLM 0.32.0', 'unknown')
    """

    def __init__(self, client: RetryingClient, name: str) -> None:
        self._client, self._name = client, name
        self._asking = asyncio.Lock()
        self._weights = ""
        self.kind: ServerKind | None = None

    async def ask(self) -> str:
        """Asks at the first call; returns the digest of the weights, "" where it has none."""
        async with self._asking:
            if self.kind is None:
                models = await fetch_models(self._client)
                self._weights = weights_digest(models, self._name)
                self.kind = await detect(self._client, models, self._name)
        return self._weights


async def detect(client: RetryingClient, models: JsonObject, name: str) -> ServerKind:
    """Finds out which program a server is.

    The list of models names its owner, and a path that only this program has confirms it with the
    version. A gateway that has the list alone is therefore unknown.

    Args:
        client: asks.
        models: the server's list of models; empty where there is none.
        name: the model's name at the server.

    Returns:
        UNKNOWN where the server does not say it, or the two do not agree.
    """
    served = models_named(models, name)
    owners = {str(one.get("owned_by") or "") for one in served}
    signs = _SIGNS.get(owners.pop()) if len(owners) == 1 else None
    if signs is None and served and all(one.get("owned_by") == one.get("id", "") for one in served):
        signs = _TGI
    if signs is None:
        return UNKNOWN
    for path in signs.paths:
        try:
            version = (await client.get(f"../{path}")).get(signs.field)
        except (RefusedError, FilteredError, UnusableError) as error:
            log.debug("%s: it does not say its version at /%s (%s)", client.base_url, path, error)
            continue
        if isinstance(version, str):
            return ServerKind(signs.name, " ".join(version.split())[:60])
    return UNKNOWN
