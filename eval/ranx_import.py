"""How ranx is imported, by whoever uses it."""

import importlib
import importlib.util
import os
import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

from rankprompt.errors import RankpromptError
from rankprompt.files.cache_directory import cache_dir

__all__ = ["import_ranx", "import_ranx_measures", "one_at_a_time"]

one_at_a_time = threading.Lock()
"""To hold while ranx computes: its parallel kernels end the whole process when two threads enter
them at once."""

_importing = threading.Lock()


def import_ranx() -> Any:
    """Imports ranx, which takes seconds, with a lasting home for what it compiles.

    Raises:
        RankpromptError: there is no folder for compiled code.
    """
    return _import(_whole)


def import_ranx_measures() -> Callable[[str], Callable[..., Any]]:
    """Imports ranx's measures without the rest of ranx.

    The rest brings pandas, matplotlib, scipy.stats and ir_datasets, which no measure uses: two
    seconds for nothing. It is imported when somebody first asks for it.

    Returns:
        From ranx's name of a measure, such as "map", to its function of qrels, run, cutoff or
        persistence, and relevance level.

    Raises:
        RankpromptError: there is no folder for compiled code.
    """
    return _import(_measures)  # type: ignore[no-any-return]


def _whole() -> Any:
    ranx = importlib.import_module("ranx")
    # Where it was put off, this makes it be imported.
    return ranx if ranx.evaluate else None


def _measures() -> Any:
    from numba import config

    # As ranx sets it: other layers may be absent, or differ between machines.
    vars(config)["THREADING_LAYER"] = "workqueue"
    if "ranx" not in sys.modules:
        sys.modules["ranx"] = _put_off("ranx")
    return importlib.import_module("ranx.metrics").metric_switch


def _put_off(name: str) -> ModuleType:
    """A package whose own code runs when one of its names is first asked for.

    importlib's LazyLoader would run it as soon as a part of the package is imported.
    """
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.loader is not None
    module, execute = importlib.util.module_from_spec(spec), spec.loader.exec_module

    def run(wanted: str) -> Any:
        if wanted.startswith("__"):
            raise AttributeError(wanted)
        vars(module).pop("__getattr__", None)
        execute(module)
        return getattr(module, wanted)

    vars(module)["__getattr__"] = run
    return module


def _import(load: Callable[[], Any]) -> Any:
    """Imports with numba's cache in our folder, whose files numba keys by its version and ours.

    numba reads the variable as it is imported, which bm25s may have done; it makes the folder, and
    where it cannot it tries others. Without any of them every process would compile again, or fail.
    """
    os.environ.setdefault("NUMBA_CACHE_DIR", str(cache_dir("numba")))
    import numba

    with _importing:
        numba.config.reload_config()  # type: ignore[no-untyped-call]
        try:
            return load()
        except RuntimeError as error:
            sys.modules.pop("ranx", None)
            raise RankpromptError(
                "ranx has no folder for its compiled code; set NUMBA_CACHE_DIR to one that can be "
                f"written ({error})"
            ) from error
