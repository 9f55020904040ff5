"""Import of ranx with a lasting cache of compiled code."""

import importlib
import os
import sys
import threading
from types import ModuleType

from rankprompt.errors import RankpromptError, require
from rankprompt.files.cache_directory import cache_dir

__all__ = ["import_ranx", "one_at_a_time"]

one_at_a_time = threading.Lock()
"""The lock to hold while ranx computes: its parallel kernels abort the whole process when two
threads enter them at once."""

_import_lock = threading.Lock()


def import_ranx() -> ModuleType:
    """Imports ranx, which takes seconds, with numba's cache in our folder.

    numba keys its files by its version and ranx's. It reads the environment variable as it is
    imported, which bm25s may have done before; it makes the folder, and tries others where it
    cannot. Without a cache every process would compile again, or fail.

    Raises:
        RankpromptError: there is no folder for compiled code.
        MissingPackageError: ranx is not installed.
    """
    require("ranx")
    os.environ.setdefault("NUMBA_CACHE_DIR", str(cache_dir("numba")))
    import numba

    with _import_lock:
        numba.config.reload_config()  # type: ignore[no-untyped-call]
        try:
            return importlib.import_module("ranx")
        except RuntimeError as error:
            sys.modules.pop("ranx", None)
            raise RankpromptError(
                "ranx has no folder for its compiled code; set NUMBA_CACHE_DIR to a writable one "
                f"({error})"
            ) from error
