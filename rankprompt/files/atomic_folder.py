"""Folders that are built whole or not at all."""

import glob
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rankprompt.files.file_lock import hold

__all__ = ["MINIMUM_AGE", "build_beside"]

MINIMUM_AGE = 60.0
"""Seconds before an unlocked folder counts as abandoned: a new one is locked after its creation."""


@contextmanager
def build_beside(target: Path) -> Iterator[Path]:
    """Creates a hidden folder beside the target, so that a rename can put the result in place.

    The folder is deleted on exit. Folders that killed processes left behind for the same target
    are deleted as well.

    Args:
        target: the file or folder to build; its parent folder must exist.

    Raises:
        OSError: the folder cannot be created.
    """
    parent, prefix = target.absolute().parent, f".{target.name}-building-"
    for old in parent.glob(f"{glob.escape(prefix)}*"):
        if _is_abandoned(old):
            shutil.rmtree(old, ignore_errors=True)
    with ExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory(prefix=prefix, dir=parent))
        descriptor = _open(Path(name))
        if descriptor is not None:
            stack.callback(os.close, descriptor)
            hold(descriptor)
        yield Path(name)


def _is_abandoned(folder: Path) -> bool:
    descriptor = _open(folder)
    if descriptor is None:
        return False
    try:
        age = time.time() - os.fstat(descriptor).st_ctime
        return age >= MINIMUM_AGE and hold(descriptor) is True
    finally:
        os.close(descriptor)


def _open(folder: Path) -> int | None:
    try:
        return os.open(folder, os.O_RDONLY)
    except OSError:  # the folder is gone, or this operating system does not open folders
        return None
