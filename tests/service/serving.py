"""The application on a port of this process, for clients that open sockets."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from rankprompt.api.reranker import Reranker
from rankprompt.service.app import make_app
from rankprompt.service.settings import ServiceSettings

__all__ = ["serving"]


@contextmanager
def serving(
    reranker: Reranker, settings: ServiceSettings, *, held_places: int = 0
) -> Iterator[str]:
    """Serves a reranker, whose model is loaded, from a thread; gives the server's URL.

    Places that are held in the queue are never given back.
    """
    app = make_app(reranker, settings)
    for _ in range(held_places):
        app.state.queue.enter()
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="on")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            until = time.monotonic() + 60
            while not app.state.service.loaded:
                assert time.monotonic() < until
                assert app.state.service.failure is None
                time.sleep(0.01)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            thread.join(30)
