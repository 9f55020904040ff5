"""What the environment says of connections: the proxy of a server, and trusted certificates."""

import os
import ssl
import sys
from functools import cache
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from rankprompt.errors import ModelError

__all__ = ["certificates", "proxy_for"]


@cache  # most of the time that a client takes to make
def certificates() -> ssl.SSLContext:
    """Returns what servers' certificates are verified by, the same for all clients.

    That is SSL_CERT_FILE or SSL_CERT_DIR, else the system's store; where Python finds none, the
    authorities that certifi lists.
    """
    named = os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")
    if sys.platform in ("win32", "darwin") and not named:
        import truststore

        return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    paths = ssl.get_default_verify_paths()
    context = ssl.create_default_context()
    if not (paths.cafile or paths.capath):
        import certifi

        context.load_verify_locations(certifi.where())
    return context


def proxy_for(url: str) -> str | None:
    """The proxy that the environment names for a URL; None for none.

    HTTP_PROXY, HTTPS_PROXY and ALL_PROXY name one, and NO_PROXY the hosts without one: names, ends
    of names, addresses and networks such as 10.0.0.0/8.

    Raises:
        ModelError: a proxy of a kind that cannot be used. Its address is not shown: it may hold a
            password.
    """
    parts, proxies = urlsplit(url), getproxies()
    host = parts.hostname or ""
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(host) or proxy_bypass(parts.netloc):
        return None
    if any(_is_in(host, entry.strip()) for entry in proxies.get("no", "").split(",")):
        return None
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    if not proxy.startswith(("http://", "https://")):
        kind = proxy.partition("://")[0]
        raise ModelError(
            f"cannot reach {parts.scheme}://{parts.netloc}: the environment names a proxy of the "
            f"kind {kind}; name one that begins with http://, or the host in NO_PROXY"
        )
    return proxy


def _is_in(host: str, entry: str) -> bool:
    """Whether an address is the entry's, or in its network."""
    try:
        return ip_address(host) in ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return False
