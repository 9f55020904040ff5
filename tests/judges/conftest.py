from collections.abc import Iterator
from contextlib import closing

import pytest

from rankprompt.journal.store import Journal


@pytest.fixture
def journal() -> Iterator[Journal]:
    with closing(Journal(None)) as opened:
        yield opened
