"""The address of a server: its base URL, which may hold a query such as Azure's api-version."""

import os
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

from rankprompt.errors import ModelError

__all__ = ["KEYS", "Address", "call_headers", "parse_address", "parse_addresses", "read_key"]

KEYS = ("RANKPROMPT_API_KEY", "OPENAI_API_KEY")
"""The environment variables that may contain the key; the first that is set counts."""
# Of these providers, in place of OpenAI's: a key is sent to no other provider than its own.
_PROVIDER_KEYS = {
    "cohere.com": ("CO_API_KEY", "COHERE_API_KEY"),
    "cohere.ai": ("CO_API_KEY", "COHERE_API_KEY"),
    "jina.ai": ("JINA_API_KEY",),
}

_SECRET = re.compile(r"key|token|secret|sig|pass|auth|code", re.I)
_AZURE = (".azure.com", ".azure-api.net")


class Address(NamedTuple):
    """A base URL in its normal form, and the query that follows the path of each call."""

    base: str
    query: str = ""

    def __str__(self) -> str:
        """The base URL with its query."""
        return self.url("")

    @property
    def is_azure(self) -> bool:
        """Whether the key goes into the header ``api-key``, as Azure wants it."""
        host = urlsplit(self.base).hostname or ""
        return host.endswith(_AZURE) or "api-version" in dict(parse_qsl(self.query))

    @property
    def keys(self) -> tuple[str, ...]:
        """The environment variables that may contain the key; the first that is set counts."""
        host = f".{urlsplit(self.base).hostname or ''}"
        for provider, names in _PROVIDER_KEYS.items():
            if host.endswith(f".{provider}"):
                return (KEYS[0], *names)
        return KEYS

    def url(self, path: str) -> str:
        """The URL of a path below the base URL; ``../version`` is beside the base URL's /v1."""
        base = self.base
        if path.startswith("../"):
            base, path = base.removesuffix("/v1"), path[2:]
        return f"{base}{path}{'?' if self.query else ''}{self.query}"


def parse_address(base_url: str) -> Address:
    """Parses a base URL.

    Raises:
        ModelError: it is none, or holds a password or a key (it is then not shown).
    """
    try:
        parts = urlsplit(base_url.strip())
        _ = parts.port  # raises ValueError if it is not a number
        query = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
    except ValueError:
        raise ModelError("the base URL cannot be read; http://localhost:8080/v1 is one") from None
    if "@" in base_url or any(_SECRET.search(name) for name in query):
        # The URL is not shown, because it contains a password.
        raise ModelError(
            "the base URL must not hold a user name, a password or a key; "
            f"the key goes into {KEYS[0]} or {KEYS[1]}, or into a `header`"
        )
    if parts.fragment:
        raise ModelError("the base URL must not hold a # part")
    if not re.fullmatch(r"[!-~]*", parts.query):
        raise ModelError("the base URL's query must be written in ASCII, without spaces")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ModelError(
            f"not a base URL: {base_url!r}; it begins with http:// or https:// and mostly ends "
            "in /v1"
        )
    base = f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}"
    return Address(base, parts.query)


def parse_addresses(base_urls: str | Sequence[str]) -> list[Address]:
    """Parses the base URL of a server, or those of several with the same model.

    Raises:
        ModelError: as ``parse_address``; two are the same; or they belong to several providers,
            whose keys differ.
    """
    urls = [base_urls] if isinstance(base_urls, str) else base_urls
    addresses = [parse_address(url) for url in urls]
    if len(set(addresses)) < len(addresses):
        raise ModelError("a base URL is given twice")
    if len({address.keys for address in addresses}) > 1:
        raise ModelError(
            "the base URLs belong to several providers, each with a key of its own: give those of "
            "one"
        )
    return addresses


def read_key(names: Sequence[str] = KEYS) -> tuple[str | None, str]:
    """The environment variable that holds a key, and the key; None and "" without one.

    Args:
        names: of the variables that count, as in ``Address.keys``.

    Raises:
        ModelError: the key holds characters that no key has.
    """
    source = next((name for name in names if os.environ.get(name)), None)
    key = os.environ[source].strip() if source else ""
    if not re.fullmatch(r"[!-~]*", key):
        raise ModelError(f"the key in {source} holds characters that no key has")
    return source, key


def call_headers(address: Address, key: str, headers: Mapping[str, str] | None) -> dict[str, str]:
    """The headers of a call: the user's, and the key where the user's do not hold one."""
    sent = {name.lower(): value for name, value in (headers or {}).items()}
    if key and address.is_azure:
        sent.setdefault("api-key", key)
    elif key:
        sent.setdefault("authorization", f"Bearer {key}")
    return sent | {"content-type": "application/json"}
