"""Writing a whole file or none of it."""

import contextlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from rankprompt.errors import InputError

__all__ = ["Scratch", "check_writable", "write_atomically", "write_together"]


class Scratch:
    """A long text as it grows: a file without a name, which is gone whatever happens.

    Use it as a context, and give it to ``write_together`` when it is whole.

    Args:
        path: the file that will be written from it; it lies on the same disk.

    Raises:
        InputError: it cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        folder = None if _is_device(path) else path.resolve().parent
        try:
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - we are the context
        except OSError as error:
            raise _unwritable(path, error) from error

    def __enter__(self) -> "Scratch":
        """Gives itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Throws the text away; what was copied stays."""
        with contextlib.suppress(OSError):  # what is left in the buffer of a full disk
            self._file.close()

    def write(self, text: str) -> None:
        """Adds to the text.

        Raises:
            InputError: the disk is full.
        """
        try:
            self._file.write(text.encode())
        except OSError as error:
            raise _unwritable(self._path, error) from error

    def copy_into(self, file: IO[bytes]) -> None:
        """Copies the whole text."""
        self._file.seek(0)
        shutil.copyfileobj(self._file, file)


def write_atomically(path: Path, text: str | bytes) -> None:
    """Write a file so that readers see the old content or the new, never a part.

    A symbolic link is followed, an old file's permissions are kept, and a device such as
    ``/dev/stdout`` is written straight.

    Args:
        path: the file; its folder must exist.
        text: the content, written as UTF-8 with its line ends as they are; or bytes.

    Raises:
        InputError: the file cannot be written; an old file is untouched, no temporary one is left.
    """
    write_together({path: text})


def write_together(texts: Mapping[Path, str | bytes | Scratch]) -> None:
    """Write files that belong together: all of them are on the disk before the first appears.

    Args:
        texts: contents by file, each as in ``write_atomically``, or grown in a scratch file.

    Raises:
        InputError: one of them cannot be written; the old files are untouched.
    """
    ready: dict[Path, Path] = {}
    path = Path()
    try:
        for path, text in texts.items():
            _refuse_misplaced(path)
            if _is_device(path):
                with path.open("wb") as file:
                    _copy(text, file)
            else:
                ready[path] = _temporary(path.resolve())
                _fill(ready[path], path, text)
        for path, temporary in ready.items():
            temporary.replace(path.resolve())
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of symbolic links
        raise _unwritable(path, error) from error
    finally:
        for temporary in ready.values():
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def check_writable(path: Path) -> None:
    """Make sure, before long work, that its result can be written.

    Args:
        path: the file that will be written; it is neither made nor changed.

    Raises:
        InputError: its folder is missing or cannot be written to, or the path is a folder.
    """
    try:
        _refuse_misplaced(path)
        if _is_device(path):
            with path.open("ab"):
                return
        # Trying is surer than os.access, which knows nothing of quotas or network mounts.
        with tempfile.TemporaryFile(dir=path.resolve().parent):
            pass
    except (OSError, RuntimeError) as error:
        raise _unwritable(path, error) from error


def _temporary(path: Path) -> Path:
    # Same folder, so that the replacement stays within one file system and is atomic.
    return path.parent / f".rankprompt-{secrets.token_hex(8)}.tmp"


def _copy(content: str | bytes | Scratch, file: IO[bytes]) -> None:
    if isinstance(content, Scratch):
        content.copy_into(file)
    else:
        file.write(content if isinstance(content, bytes) else content.encode())


def _fill(temporary: Path, path: Path, content: str | bytes | Scratch) -> None:
    with temporary.open("xb") as file:
        _copy(content, file)
        file.flush()
        os.fsync(file.fileno())  # a crash after the rename must not leave an empty file
    if path.exists():
        with contextlib.suppress(OSError):  # some mounts have no permissions to keep
            shutil.copymode(path, temporary)


def _is_device(path: Path) -> bool:
    return path.exists() and not path.is_file()


def _refuse_misplaced(path: Path) -> None:
    if path.is_dir():
        raise _unwritable(path, "it is a directory")
    folder = path.resolve().parent
    if not folder.exists():
        raise _unwritable(path, f"the folder {folder} does not exist")
    if not folder.is_dir():
        raise _unwritable(path, f"{folder} is not a folder")


def _unwritable(path: Path, problem: object) -> InputError:
    if isinstance(problem, OSError):
        problem = problem.strerror or problem
    return InputError(f"cannot write {path}: {problem}; an old file there is untouched")
