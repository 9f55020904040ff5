"""The package ir_datasets, silenced, with each of its failures as an error of one line.

On its own it logs and draws progress bars on stderr, asks for passwords on the terminal, and says
only in its log where a file can be put by hand. Here its messages go to our log, and every failure
becomes an ``InputError``.
"""

import contextlib
import importlib
import io
import logging
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from traceback import walk_tb
from types import ModuleType
from typing import Any, TypeAlias

from rankprompt.errors import PIP_LINES, InputError, RankpromptError

__all__ = ["IrDataset", "IrRecord", "guarded", "library"]

log = logging.getLogger("rankprompt")

_NOISE = ("opening ", "download error", "download failed")
_MAX_REASON = 300  # characters


IrDataset: TypeAlias = Any
"""A dataset of ir_datasets, which publishes no types."""
IrRecord: TypeAlias = Any
"""A query or document of ir_datasets: a named tuple whose fields depend on the dataset."""


def library() -> ModuleType:
    """Imports ``ir_datasets`` and silences its messages and progress bars.

    They stay silent for other users in this process; the messages go to our log.

    Raises:
        InputError: ir_datasets is not installed, or the folder $IR_DATASETS_HOME cannot be made.
    """
    try:
        module = importlib.import_module("ir_datasets")
    except ImportError as error:
        raise InputError(f"ir: needs ir_datasets: {PIP_LINES['ir_datasets']} ({error})") from error
    except OSError as error:
        raise InputError(
            f"ir_datasets cannot make its folder {error.filename}: {error.strerror}; set "
            "IR_DATASETS_HOME to another folder"
        ) from error
    _silence()
    return module


@contextlib.contextmanager
def guarded(name: str) -> Iterator[None]:
    """Turns every failure within the context into a one-line error, and blocks terminal input.

    Downloads end by themselves: ir_datasets tries each of at most two servers three times, and
    waits 15 s for a response (IR_DATASETS_DL_TRIES, IR_DATASETS_DL_TIMEOUT).

    Args:
        name: the dataset, as the user wrote it.

    Raises:
        InputError: says what failed, which file is missing, and where it can be put by hand.
    """
    stdin, sys.stdin = sys.stdin, io.StringIO()
    try:
        # input() would write its prompt among our results.
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    except RankpromptError:
        raise
    except Exception as error:
        raise InputError(f"{name}: {_explain(error)}") from error
    finally:
        sys.stdin = stdin


@cache
def _silence() -> None:
    lazy_libs = importlib.import_module("ir_datasets.lazy_libs")
    tqdm = lazy_libs.tqdm().tqdm

    class HiddenBar(tqdm):  # type: ignore[misc, valid-type]
        """A bar that is not drawn; it still counts, because resumed downloads rely on that."""

        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, **{**kwargs, "file": _NullFile()})

    class Lazy:
        tqdm = HiddenBar

    vars(lazy_libs)["tqdm"] = lambda: Lazy
    importlib.import_module("ir_datasets.log").easy().logger().handlers = [_LogForwarder()]


class _NullFile(io.StringIO):
    def write(self, text: str) -> int:
        return len(text)


class _LogForwarder(logging.Handler):
    """Forwards each message to our log, as one line."""

    def emit(self, record: logging.LogRecord) -> None:
        message = _one_line(record.getMessage())
        # Our errors report failures, and where files can be put.
        noise = message.lower().startswith(_NOISE) or "symlink" in message
        log.log(logging.DEBUG if noise else record.levelno, "ir_datasets: %s", message)


def _explain(error: Exception) -> str:
    util = importlib.import_module("ir_datasets.util")
    frames = (frame.f_locals.get("self") for frame, _ in walk_tb(error.__traceback__))
    # The exception does not name the file; the objects on the call stack do.
    objects = [instance for instance in frames if instance is not None]
    for local in objects:
        if isinstance(local, util.LocalDownload):
            return _one_line(local._message or f"no file {local.path(force=False)}")
    if isinstance(error, EOFError):
        for request in objects:
            if isinstance(request, util.RequestsDownload) and request.auth:
                path = util.home_path() / "auth" / request.auth
                return (
                    f"{request.url} needs a user name and a password: write them into {path}, "
                    "on its first and second line"
                )
    for download in objects:
        if isinstance(download, util.Download):
            return _explain_download(util, download, error)
    return _reason(error)


def _explain_download(util: ModuleType, download: Any, error: Exception) -> str:
    urls = [mirror.url for mirror in download.mirrors if hasattr(mirror, "url")]
    if not urls:
        return _reason(error)
    causes = error.args[1] if len(error.args) == 2 and isinstance(error.args[1], list) else []
    reasons = [_reason(cause) for mirror, cause in causes if hasattr(mirror, "url")]
    problem = f"cannot download {urls[0]}: {reasons[0] if reasons else _reason(error)}"
    by_hand = "to use your own copy, put the file here:"
    if download._cache_path is not None:
        return f"{problem}; {by_hand} {download._cache_path}"
    if download.expected_md5 is not None:
        path = Path(util.home_path()) / "downloads" / download.expected_md5
        local = any(isinstance(mirror, util.LocalDownload) for mirror in download.mirrors)
        small = "" if local else " and set IR_DATASETS_SMALL_FILE_SIZE=0"
        return f"{problem}; {by_hand} {path}{small}"
    return f"{problem}; it must be downloaded"


def _reason(error: object) -> str:
    # requests wraps the cause twice, and each message repeats it.
    while isinstance(error, Exception):
        inner = getattr(error, "reason", None) or (error.args[0] if error.args else None)
        if not isinstance(inner, Exception):
            break
        error = inner
    text = _one_line(str(error))
    if not text or not isinstance(error, OSError | RuntimeError | ValueError | ImportError):
        text = f"{type(error).__name__}: {text}"  # the message of a KeyError is only the key
    return text if len(text) <= _MAX_REASON else f"{text[:_MAX_REASON]}..."


def _one_line(text: str) -> str:
    return " ".join(text.split())
