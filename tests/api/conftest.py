"""What the tests of the API share: a tiny classifier with random weights, and texts for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rankprompt import Reranker
from tests.llm.rerankers.classifiers import save_classifier
from tests.llm.tiny import SENTENCES

TEXTS = list(dict.fromkeys(SENTENCES))[:12]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny classifier."""
    return save_classifier(tmp_path_factory.mktemp("classifier") / "bert")


@pytest.fixture(scope="module")
def reranker(folder: Path) -> Iterator[Reranker]:
    """A reranker that asks it."""
    with Reranker(str(folder)) as reranker:
        yield reranker
