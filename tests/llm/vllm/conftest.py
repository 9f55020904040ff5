"""A package named vllm on the search path, and the folder of a small model."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.llm import tiny

FAKE = Path(__file__).parent / "fake"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """Installs the fake vLLM; has the arguments of each engine that is started."""
    monkeypatch.syspath_prepend(str(FAKE))
    import vllm

    yield vllm.LLM.started
    vllm.LLM.started.clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "vllm"]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    words = tiny.tokenizer(template=tiny.TEMPLATE)
    return tiny.save(tmp_path_factory.mktemp("models") / "llama", tiny.llama(), words)
