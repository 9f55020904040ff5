"""A key of the user's in the environment."""

import pytest

from tests.llm.openai.calls import KEY


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANKPROMPT_API_KEY", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
