"""How ranx is imported, by whoever uses it."""

import os
import threading
from typing import Any

from rankprompt.errors import RankpromptError
from rankprompt.places import cache_dir

__all__ = ["import_ranx", "one_at_a_time"]

one_at_a_time = threading.Lock()
"""To hold while ranx computes: its parallel kernels end the whole process when two threads enter
them at once."""


def import_ranx() -> Any:
    """Imports ranx, which takes seconds, with a lasting home for what it compiles.

    numba reads the variable as it is imported, which bm25s may have done; it makes the folder, and
    where it cannot it tries others. Without any of them every process would compile again, or fail.

    Raises:
        RankpromptError: there is no folder for compiled code.
    """
    os.environ.setdefault("NUMBA_CACHE_DIR", str(cache_dir("numba")))
    import numba

    numba.config.reload_config()  # type: ignore[no-untyped-call]
    try:
        import ranx
    except RuntimeError as error:
        raise RankpromptError(
            "ranx has no folder for its compiled code; set NUMBA_CACHE_DIR to one that can be "
            f"written ({error})"
        ) from error
    return ranx
