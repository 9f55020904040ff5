"""Files of tensors, written whole or not at all."""

import contextlib
import os
import secrets
from hashlib import blake2b
from pathlib import Path

from rankprompt.errors import InputError

__all__ = ["digest", "make_folder", "write_bytes"]


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file so that readers see the old content or the new, never a part.

    Raises:
        InputError: it cannot be written; an old file is untouched.
    """
    temporary = path.parent / f".rankprompt-{secrets.token_hex(8)}.tmp"
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # a crash after the rename must not leave an empty file
        temporary.replace(path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Makes a folder, unless it is there.

    Raises:
        InputError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {folder}: {error.strerror or error}") from error


def digest(content: bytes) -> str:
    """Names content, 32 hexadecimal digits."""
    return blake2b(content, digest_size=16).hexdigest()
