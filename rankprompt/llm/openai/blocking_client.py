"""Posts to a server and waits for the reply, by urllib3: for code that runs in no event loop."""

from collections.abc import Mapping, Sequence

import urllib3

from rankprompt.llm.openai.address import Address, call_headers, read_key
from rankprompt.llm.openai.environment import certificates, proxy_for

__all__ = ["BlockingClient", "CallError"]

_TIMEOUT = urllib3.Timeout(connect=10.0, read=60.0)
_TRANSIENT = {408, 409, 425, 429}


class CallError(Exception):
    """A call failed; the message holds no word of the server's, which may quote parts of the key.

    Attributes:
        transient: whether a retry may bring an answer.
    """

    def __init__(self, reason: str, *, transient: bool) -> None:
        super().__init__(reason)
        self.transient = transient


class BlockingClient:
    """A client of a server, or of several with the same model, over connections that stay open.

    The next server is asked once one cannot be reached. No redirect is followed.

    Args:
        addresses: of the servers.
        headers: to send with each call; their values are secrets.
    """

    def __init__(self, addresses: Sequence[Address], headers: Mapping[str, str] | None) -> None:
        self._addresses, self._place = addresses, 0
        self._headers = [call_headers(one, read_key(one.keys)[1], headers) for one in addresses]
        self._managers: dict[int, urllib3.PoolManager] = {}

    def post(self, path: str, body: bytes) -> bytes:
        """Returns the reply to a body.

        Raises:
            CallError: no server can be reached, or the one that was asked refuses.
        """
        for _ in self._addresses:
            try:
                reply = self._manager().request(
                    "POST",
                    self._addresses[self._place].url(path),
                    body=body,
                    headers=self._headers[self._place],
                    redirect=False,
                    retries=False,
                )
            except urllib3.exceptions.HTTPError as error:
                failed = CallError(f"cannot be reached ({type(error).__name__})", transient=True)
                self._place = (self._place + 1) % len(self._addresses)
                continue
            status = reply.status
            if not 200 <= status < 300:
                transient = status in _TRANSIENT or (status >= 500 and status != 501)
                raise CallError(f"status {status}", transient=transient)
            return reply.data
        raise failed

    def close(self) -> None:
        """Closes the connections; a later call opens others."""
        for manager in self._managers.values():
            manager.clear()
        self._managers.clear()

    def _manager(self) -> urllib3.PoolManager:
        """The connections to the server that is asked now."""
        if self._place not in self._managers:
            proxy = proxy_for(self._addresses[self._place].base)
            made = urllib3.PoolManager(timeout=_TIMEOUT, ssl_context=certificates())
            if proxy:
                key = urllib3.util.parse_url(proxy).auth
                headers = urllib3.make_headers(proxy_basic_auth=key) if key else None
                made = urllib3.ProxyManager(
                    proxy, proxy_headers=headers, timeout=_TIMEOUT, ssl_context=certificates()
                )
            self._managers[self._place] = made
        return self._managers[self._place]
