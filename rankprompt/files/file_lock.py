"""Holding a file or a folder, so that other processes see that somebody is at it."""

from typing import IO

try:
    import fcntl
except ImportError:  # there, two processes may be at one thing unnoticed
    fcntl = None  # type: ignore[assignment]

__all__ = ["hold"]


def hold(file: IO[bytes] | int) -> bool | None:
    """Holds an open file or folder for as long as it is open; does not wait.

    Returns:
        False if another process holds it, or its disk knows no locks; None where this system knows
        none.
    """
    if fcntl is None:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
