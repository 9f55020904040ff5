"""Building a whole folder or none of it."""

import glob
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rankprompt.files.file_lock import hold

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
    with ExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory(prefix=prefix, dir=parent))
        file = _open(Path(name))
        if file is not None:
            stack.callback(os.close, file)
            hold(file)
        yield Path(name)


def _is_left(folder: Path) -> bool:
    """Whether no process is at work in a folder."""
    file = _open(folder)
    if file is None:
        return False
    try:
        return time.time() - os.fstat(file).st_ctime >= _SETTLED and hold(file) is True
    finally:
        os.close(file)


def _open(folder: Path) -> int | None:
    try:
        return os.open(folder, os.O_RDONLY)
    except OSError:  # it is gone, or this system opens no folders
        return None
