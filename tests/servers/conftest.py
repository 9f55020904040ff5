"""A key of the user's in the environment, and a journal in a folder."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rankprompt.journal.store import Journal
from tests.servers.runs import KEY


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANKPROMPT_API_KEY", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with closing(Journal(tmp_path / "run.journal")) as opened:
        yield opened
