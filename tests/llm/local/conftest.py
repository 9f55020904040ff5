"""Folders of small models, one set for each test module."""

from pathlib import Path

import pytest

from rankprompt.llm.local.model import LocalModel
from tests.llm import tiny
from tests.llm.local.small_models import MODELS, load


@pytest.fixture(scope="module", params=MODELS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    make, eos = MODELS[request.param]
    return tiny.save(
        tmp_path_factory.mktemp("models") / request.param, make(), tiny.tokenizer(eos=eos)
    )


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    words = tiny.tokenizer(template=tiny.TEMPLATE)
    return tiny.save(tmp_path_factory.mktemp("models") / "llama", tiny.llama(), words)


@pytest.fixture(scope="module")
def planner(llama: Path) -> LocalModel:
    """A model that pads rows: without a cache of prefixes it packs none."""
    return load(llama, batch_tokens=200, prefix_bytes=0)
