"""Folders that are built whole or not at all."""

import glob
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rankprompt.files.file_lock import hold

__all__ = ["build_beside", "remove_abandoned", "swap"]

_BUILDING = "-building-"
_TRIALS, _PAUSES, _PAUSE = 10, 50, 0.02


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
    parent, prefix = target.absolute().parent, f".{target.name}{_BUILDING}"
    remove_abandoned(parent, glob.escape(target.name))
    folder, descriptor = _create(parent, prefix)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if descriptor is not None:
            os.close(descriptor)


def swap(new: Path, target: Path, old: Path) -> None:
    """Puts a folder in another's place.

    Args:
        new: the folder; on the same disk as the others.
        target: the folder to replace, whose permissions are kept; it may be missing.
        old: where the replaced folder goes.

    Raises:
        OSError: it cannot be replaced; the target is unchanged.
    """
    if target.exists():
        shutil.copymode(target, new)
        target.rename(old)
    try:
        new.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise


def remove_abandoned(parent: Path, targets: str) -> None:
    """Deletes the folders that killed processes left behind.

    Args:
        parent: the folder that they are in.
        targets: a glob pattern of the names of the targets that they were built for.
    """
    for old in parent.glob(f".{targets}{_BUILDING}*"):
        descriptor = _open(old)
        if descriptor is None:
            continue
        try:
            if hold(descriptor) is True:  # a living process holds its folder
                shutil.rmtree(old, ignore_errors=True)
        finally:
            os.close(descriptor)


def _create(parent: Path, prefix: str) -> tuple[Path, int | None]:
    """Makes a new folder and locks it; returns it with the descriptor that holds the lock.

    Between the two, another process may take the folder for an abandoned one and delete it.
    """
    for _ in range(_TRIALS):
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        descriptor = _open(folder)
        # Held by a process that is about to delete it, or for ever, on a disk without locks.
        for _ in range(_PAUSES):
            if descriptor is None or hold(descriptor) is not False or not folder.exists():
                break
            time.sleep(_PAUSE)
        if folder.exists():
            return folder, descriptor
        if descriptor is not None:
            os.close(descriptor)
    raise FileNotFoundError(2, "other processes delete every new folder", str(parent))


def _open(folder: Path) -> int | None:
    try:
        return os.open(folder, os.O_RDONLY)
    except OSError:  # the folder is gone, or this operating system does not open folders
        return None
