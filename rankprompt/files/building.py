"""Building a whole folder or none of it."""

import glob
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # only where there is no fcntl does a killed process leave a folder for good
    fcntl = None  # type: ignore[assignment]

__all__ = ["build_beside"]

# Between making a folder and holding it, a builder's folder looks like one that was left.
_SETTLED = 60.0


@contextmanager
def build_beside(target: Path) -> Iterator[Path]:
    """A hidden folder beside the target to build in, so that the target appears by a rename.

    It is gone afterwards. Those that killed processes left of the same target are removed.

    Args:
        target: what will be made; its folder must exist.

    Raises:
        OSError: the folder cannot be made.
    """
    parent, prefix = target.absolute().parent, f".{target.name}-building-"
    for old in parent.glob(f"{glob.escape(prefix)}*"):
        if _is_left(old):
            shutil.rmtree(old, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=parent) as name, closing(_Held(name)):
        yield Path(name)


class _Held:
    """Tells others that a process is at work in a folder, for as long as it lives."""

    def __init__(self, folder: str | Path) -> None:
        self._file: int | None = None
        if fcntl is not None:
            self._file = os.open(folder, os.O_RDONLY)
            with suppress(OSError):  # a disk that knows no locks
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)


def _is_left(folder: Path) -> bool:
    """Whether no process is at work in a folder."""
    if fcntl is None:
        return False
    try:
        if time.time() - folder.stat().st_ctime < _SETTLED:
            return False
        file = os.open(folder, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(file)
    return True
