"""Runs the application on uvicorn, until a signal ends it."""

import logging
import signal
import socket
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address
from types import FrameType

import uvicorn
from fastapi import FastAPI

from rankprompt.api.reranker import Reranker
from rankprompt.errors import InputError
from rankprompt.service.app import make_app
from rankprompt.service.settings import KEYS, ServiceSettings
from rankprompt.service.state import ServiceState

__all__ = ["run_server"]

log = logging.getLogger("rankprompt")

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_HEADERS = 65_536  # bytes
# Connections beyond these are refused; there are more than places in the queue, since some are idle
# and others send their bodies.
_CONNECTIONS, _SPARE = 4, 100
_GRACE = 5  # seconds for the answers to what was given up when its time was over


def run_server(
    reranker: Reranker,
    settings: ServiceSettings,
    host: str,
    port: int,
    prepare: Callable[[FastAPI], None] = lambda _: None,
) -> None:
    """Serves a reranker until SIGTERM or SIGINT; what is under way is finished before.

    Args:
        reranker: is left open.
        settings: the limits and keys.
        host: the address or name to listen on.
        port: 0 for one that is free.
        prepare: is called with the application before it starts.

    Raises:
        InputError: the address cannot be used.
        RankpromptError: the model cannot be loaded.
    """
    if not settings.keys and _is_loopback(host):
        settings = replace(settings, hosts=tuple({*_LOOPBACK, host.lower()}))
    with _listen(host, port) as listening:
        app = make_app(reranker, settings)
        prepare(app)
        state: ServiceState = app.state.service
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="on",
            http="h11",  # the one that bounds headers
            h11_max_incomplete_event_size=_HEADERS,
            limit_concurrency=_CONNECTIONS * settings.max_queue + _SPARE,
            timeout_graceful_shutdown=int(settings.timeout) + _GRACE,
        )
        server = _Server(config, state)
        address = _address(listening)

        def loaded() -> None:
            if state.failure:
                server.should_exit = True
            elif not state.stopping:
                log.info("serving %s at %s", state.model, address)

        state.when_loaded.append(loaded)
        if not settings.keys and not _is_loopback(host):
            log.warning(
                "anyone who reaches %s may ask: set %s to keys that clients must send", host, KEYS
            )
        log.info("loading %s; %s/ready tells when it is done", state.model, address)
        # uvicorn raises the signal that ended it once more when it is done.
        handler = signal.signal(signal.SIGTERM, lambda *_: None)
        try:
            server.run(sockets=[listening])
        except KeyboardInterrupt:
            pass
        finally:
            signal.signal(signal.SIGTERM, handler)
    if state.failure:
        raise state.failure
    log.info("ended; what was under way is finished")


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, state: ServiceState) -> None:
        super().__init__(config)
        self._state = state

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Tells whoever asks that no more requests are taken, and ends."""
        self._state.stop()
        super().handle_exit(sig, frame)


def _listen(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        family, *_, address = found[0]
        return socket.create_server(address[:2], family=family, backlog=2048)
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"cannot listen on `host` {host}, `port` {port}: {reason}") from error


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
