"""Files that are written whole or not at all."""

import contextlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from rankprompt.errors import InputError

__all__ = ["Scratch", "check_writable", "write_atomically", "write_together"]


class Scratch:
    """An unnamed temporary file that collects a long text; the system deletes it in any case.

    Use it as a context manager, and pass it to ``write_together`` when the text is complete.

    Args:
        path: the file that will be written from it; both are on the same disk.

    Raises:
        InputError: the temporary file cannot be created.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        folder = None if _is_device(path) else path.resolve().parent
        try:
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - we are the context
        except OSError as error:
            raise _unwritable(path, error) from error

    def __enter__(self) -> "Scratch":
        """Returns itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Discards the text; copies of it stay."""
        with contextlib.suppress(OSError):  # closing flushes the buffer, perhaps to a full disk
            self._file.close()

    def write(self, text: str) -> None:
        """Appends to the text.

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
    """Writes a file so that readers see either the old content or the new, never a mixture.

    Symbolic links are followed, the permissions of an existing file are kept, and a device such
    as ``/dev/stdout`` is written to directly.

    Args:
        path: the file; its folder must exist.
        text: the content: bytes, or a string, which is written as UTF-8 with unchanged line ends.

    Raises:
        InputError: the file cannot be written. An existing file is unchanged and no temporary
            file remains.
    """
    write_together({path: text})


def write_together(
    texts: Mapping[Path, str | bytes | Scratch], ready: Callable[[], None] = lambda: None
) -> None:
    """Writes files that belong together: all are on the disk before the first one is renamed.

    Args:
        texts: contents by file, each as in ``write_atomically`` or collected in a ``Scratch``.
        ready: called once all files are on the disk, before the first one is renamed.

    Raises:
        InputError: one of the files cannot be written, or ``ready`` raised an OSError; existing
            files are unchanged.
    """
    temporaries: dict[Path, Path] = {}
    path = Path()
    try:
        for path, text in texts.items():
            _check_folder(path)
            if _is_device(path):
                with path.open("wb") as file:
                    _copy(text, file)
            else:
                temporaries[path] = _temporary(path.resolve())
                _fill(temporaries[path], path, text)
        ready()
        for path, temporary in temporaries.items():
            temporary.replace(path.resolve())
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of symbolic links
        raise _unwritable(path, error) from error
    finally:
        for temporary in temporaries.values():
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def check_writable(path: Path) -> None:
    """Checks, before a long computation, that its result can be written.

    Args:
        path: the file that will be written; it is neither created nor changed.

    Raises:
        InputError: its folder is missing or not writable, or the path is a folder.
    """
    try:
        _check_folder(path)
        if _is_device(path):
            with path.open("ab"):
                return
        # A trial write also covers quotas and network mounts, which os.access does not.
        with tempfile.TemporaryFile(dir=path.resolve().parent):
            pass
    except (OSError, RuntimeError) as error:
        raise _unwritable(path, error) from error


def _temporary(path: Path) -> Path:
    # In the same folder, because a rename is atomic only within one file system.
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
        os.fsync(file.fileno())  # or a crash after the rename could leave an empty file
    if path.exists():
        with contextlib.suppress(OSError):  # some file systems have no permissions
            shutil.copymode(path, temporary)


def _is_device(path: Path) -> bool:
    return path.exists() and not path.is_file()


def _check_folder(path: Path) -> None:
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
