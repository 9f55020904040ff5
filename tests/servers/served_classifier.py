"""Fixtures: a small classifier's folder, and a server that scores as this classifier does."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from rankprompt.llm import load_model
from rankprompt.llm.base import Request
from tests.servers.classifier import save_classifier
from tests.servers.protocol import ProtocolServer
from tests.servers.reranker import Reranker


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_classifier(tmp_path_factory.mktemp("classifier"))


@pytest.fixture(scope="module")
def reranker(folder: Path) -> Reranker:
    model = load_model(str(folder), threads=1)

    def score(query: str, text: str) -> float:
        # A server cuts what its model cannot read.
        room = model.context_length - model.length(Request(query, passage=""))
        ((answer,), _) = model.answer([Request(query, passage=model.truncate(text, room))])
        return 1 / (1 + math.exp(-answer.loglikelihoods[0]))

    return Reranker(score)


@pytest.fixture
def server(reranker: Reranker) -> Iterator[ProtocolServer]:
    reranker.calls.clear()
    with ProtocolServer(reranker) as running:
        yield running
