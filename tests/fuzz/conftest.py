"""How a border is fuzzed: mutated copies of a valid file are read again."""

import logging
import random
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rankprompt.errors import RankpromptError
from tests.mutations import mutate

Read = Callable[[], None]
Mutate = Callable[[random.Random, bytes], bytes]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Thousands of warnings about damaged files would hide what matters."""
    log = logging.getLogger("rankprompt")
    before = log.level
    log.setLevel(logging.CRITICAL)
    yield
    log.setLevel(before)


@pytest.fixture
def quick() -> Iterator[Path]:
    """A folder in memory where there is one: a commit to a disk takes milliseconds."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


def fuzz(
    path: Path, read: Read, number: int, how: Mutate = mutate, *, as_folder: bool = True
) -> int:
    """Reads so many mutated copies of a file, and one that is a folder; counts those refused.

    ``read`` must raise a ``RankpromptError`` with a message of one line, or else itself assert that
    what it read is right.
    """
    content = path.read_bytes()
    refused = 0
    for seed in range(number):
        mutated = how(random.Random(f"{path.name} {seed}"), content)
        path.write_bytes(mutated)
        refused += is_refused(read, f"{path.name}, seed {seed}: {mutated[:200]!r}")
    if as_folder:
        path.unlink()
        path.mkdir()
        assert is_refused(read, f"{path.name} is a folder")
        path.rmdir()
    path.write_bytes(content)
    return refused


def is_refused(read: Read, case: str) -> bool:
    try:
        read()
    except RankpromptError as error:
        message = str(error)
        assert message, case
        assert "\n" not in message, case
        assert len(message) < 1000, case
        return True
    except Exception as error:
        raise AssertionError(f"{type(error).__name__} on {case}") from error
    return False
