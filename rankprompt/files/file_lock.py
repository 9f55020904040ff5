"""Advisory locks on files and folders, by which processes notice each other."""

from typing import IO

try:
    import fcntl
except ImportError:  # Windows: two processes may use the same file unnoticed
    fcntl = None  # type: ignore[assignment]

__all__ = ["hold"]


def hold(file: IO[bytes] | int) -> bool | None:
    """Locks an open file or folder for as long as it stays open, without waiting.

    Args:
        file: the file, or the descriptor of a file or folder.

    Returns:
        False if another process holds the lock or the file system has no locks; None if this
        operating system has none.
    """
    if fcntl is None:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
