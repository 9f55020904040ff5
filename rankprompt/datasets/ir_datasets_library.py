"""ir_datasets, kept quiet, and its failures told in a line.

It logs to stderr, draws progress bars there, asks for passwords on the terminal, and tells where a
file may be put by hand only in its log. Here its messages go to our log, and what went wrong to one
``InputError``.
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
from typing import Any

from rankprompt.errors import InputError, RankpromptError

__all__ = ["guarded", "library"]

log = logging.getLogger("rankprompt")

_NOISE = ("opening ", "download error", "download failed")
_LONGEST = 300  # characters of a reason


def library() -> Any:
    """The package ``ir_datasets``, with its messages and bars out of the way.

    They stay so for whoever else uses it in this process: what it logs goes to our log.

    Raises:
        InputError: it is not installed, or the folder $IR_DATASETS_HOME cannot be made.
    """
    try:
        found = importlib.import_module("ir_datasets")
    except ImportError as error:
        raise InputError(f"ir: needs ir_datasets: pip install ir-datasets ({error})") from error
    except OSError as error:
        raise InputError(
            f"ir_datasets cannot make its folder {error.filename}: {error.strerror}; set "
            "IR_DATASETS_HOME to another folder"
        ) from error
    _quiet()
    return found


@contextlib.contextmanager
def guarded(name: str) -> Iterator[None]:
    """Turns whatever fails within into one line; nothing within can ask the terminal.

    Downloads end by themselves: ir_datasets tries each of at most two servers three times, and
    waits 15 s for an answer (IR_DATASETS_DL_TRIES, IR_DATASETS_DL_TIMEOUT).

    Args:
        name: the collection, as the user wrote it.

    Raises:
        InputError: what failed, which file is missing, and where to put it by hand.
    """
    asked, sys.stdin = sys.stdin, io.StringIO()
    try:
        # input() would write its question among our results.
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    except RankpromptError:
        raise
    except Exception as error:
        raise InputError(f"{name}: {_explain(error)}") from error
    finally:
        sys.stdin = asked


@cache
def _quiet() -> None:
    lazy_libs: Any = importlib.import_module("ir_datasets.lazy_libs")
    tqdm = lazy_libs.tqdm().tqdm

    class Unseen(tqdm):  # type: ignore[misc, valid-type]
        """A bar that counts, which resuming a download relies on, but is not drawn."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{**kwargs, "file": _Nowhere()})

    class Lazy:
        tqdm = Unseen

    lazy_libs.tqdm = lambda: Lazy
    importlib.import_module("ir_datasets.log").easy().logger().handlers = [_Forward()]


class _Nowhere(io.StringIO):
    def write(self, text: str) -> int:
        return len(text)


class _Forward(logging.Handler):
    """Hands messages to our log, each as one line."""

    def emit(self, record: logging.LogRecord) -> None:
        message = _one_line(record.getMessage())
        # Of opening files nobody need know; what fails, and where to put files, our errors say.
        noise = message.lower().startswith(_NOISE) or "symlink" in message
        log.log(logging.DEBUG if noise else record.levelno, "ir_datasets: %s", message)


def _explain(error: Exception) -> str:
    util = importlib.import_module("ir_datasets.util")
    frames = (frame.f_locals.get("self") for frame, _ in walk_tb(error.__traceback__))
    # The exception does not say which file it was about; those that were at work do.
    workers = [worker for worker in frames if worker is not None]
    for worker in workers:
        if isinstance(worker, util.LocalDownload):
            message = worker._message or f"no file {worker.path(force=False)}"
            return _one_line(message)
    if isinstance(error, EOFError):
        for worker in workers:
            if isinstance(worker, util.RequestsDownload) and worker.auth:
                place = util.home_path() / "auth" / worker.auth
                return (
                    f"{worker.url} needs a user name and a password: write them into {place}, "
                    "on its first and second line"
                )
    for worker in workers:
        if isinstance(worker, util.Download):
            return _download(util, worker, error)
    return _reason(error)


def _download(util: Any, download: Any, error: Exception) -> str:
    urls = [mirror.url for mirror in download.mirrors if hasattr(mirror, "url")]
    if not urls:
        return _reason(error)
    causes = error.args[1] if len(error.args) == 2 and isinstance(error.args[1], list) else []
    reasons = [_reason(cause) for mirror, cause in causes if hasattr(mirror, "url")]
    said = f"cannot download {urls[0]}: {reasons[0] if reasons else _reason(error)}; "
    if download._cache_path is not None:
        return f"{said}to use a copy of yours, put the file here: {download._cache_path}"
    if download.expected_md5 is not None:
        place = Path(util.home_path()) / "downloads" / download.expected_md5
        small = (
            ""
            if any(isinstance(one, util.LocalDownload) for one in download.mirrors)
            else (" and set IR_DATASETS_SMALL_FILE_SIZE=0")
        )
        return f"{said}to use a copy of yours, put the file here: {place}{small}"
    return f"{said}it must be downloaded"


def _reason(error: object) -> str:
    # requests wraps the cause twice, in text that repeats it.
    while isinstance(error, Exception):
        inner = getattr(error, "reason", None) or (error.args[0] if error.args else None)
        if not isinstance(inner, Exception):
            break
        error = inner
    text = _one_line(str(error))
    if not text or not isinstance(error, OSError | RuntimeError | ValueError | ImportError):
        text = f"{type(error).__name__}: {text}"  # the text of a KeyError is a bare key
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _one_line(text: str) -> str:
    return " ".join(text.split())
