"""Rerankers over servers in this process, and the service over them."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from fastapi.testclient import TestClient

from rankprompt.api.reranker import Reranker
from rankprompt.service.app import make_app
from rankprompt.service.settings import ServiceSettings
from tests.servers.protocol import ProtocolServer
from tests.servers.reranker import Reranker as Answers
from tests.servers.speaker import Speaker

Start = Callable[..., TestClient]


def start(stack: ExitStack, reranker: Reranker, **limits: Any) -> TestClient:
    """A client of the service over a reranker, whose model is loaded."""
    client = stack.enter_context(TestClient(make_app(reranker, ServiceSettings(**limits))))
    until = time.monotonic() + 60
    while client.get("/ready").status_code != 200:
        assert time.monotonic() < until
        time.sleep(0.01)
    return client


@pytest.fixture(scope="module")
def served() -> Iterator[ProtocolServer]:
    """A reranker behind a server."""
    with ProtocolServer(Answers()) as running:
        yield running


@pytest.fixture(scope="module")
def reranker(served: ProtocolServer) -> Iterator[Reranker]:
    with Reranker("rerank:m", base_url=served.url) as made:
        yield made


@pytest.fixture(scope="module")
def client(reranker: Reranker) -> Iterator[TestClient]:
    """The service over a reranker that looks at one document at a time."""
    with ExitStack() as stack:
        yield start(stack, reranker)


@pytest.fixture(scope="module")
def pairwise() -> Iterator[Reranker]:
    """A language model behind a server, which prefers the text that is first in the alphabet."""
    with (
        ProtocolServer(Speaker(lambda first, second: 0.9 if first < second else 0.1)) as running,
        Reranker("openai:m", base_url=running.url, max_prompts=40) as made,
    ):
        yield made


@pytest.fixture
def started() -> Iterator[Start]:
    """Starts services that end with the test."""
    with ExitStack() as stack:
        yield lambda reranker, **limits: start(stack, reranker, **limits)
