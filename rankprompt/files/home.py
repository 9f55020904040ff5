"""Paths that name a home directory, such as ``~/models``."""

from pathlib import Path

__all__ = ["expand"]


def expand(name: Path | str) -> Path:
    """Returns a path with its leading ``~`` or ``~user`` replaced by the home directory.

    A path stays as it is where there is no such user: it may be the name of a file.
    """
    path = Path(name)
    try:
        return path.expanduser()
    except RuntimeError:
        return path
