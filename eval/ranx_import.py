"""Import of ranx: its measures without the rest of it, and a lasting cache of compiled code."""

import importlib
import importlib.util
import os
import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from rankprompt.errors import RankpromptError
from rankprompt.files.cache_directory import cache_dir

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Table = npt.NDArray[np.float64]

__all__ = ["RanxMeasure", "import_ranx", "import_ranx_measures", "one_at_a_time"]

RanxMeasure: TypeAlias = "Callable[[Table, Table, float, int], Table]"
"""Values by query, from qrels, run, cutoff (of rbp the persistence) and relevance level."""

_T = TypeVar("_T")

one_at_a_time = threading.Lock()
"""The lock to hold while ranx computes: its parallel kernels abort the whole process when two
threads enter them at once."""

_import_lock = threading.Lock()


def import_ranx() -> ModuleType:
    """Imports all of ranx, which takes seconds.

    Raises:
        RankpromptError: there is no folder for compiled code.
    """
    return _with_compiler_cache(_load_ranx)


def import_ranx_measures() -> Callable[[str], RanxMeasure]:
    """Imports ranx's measures without the rest of ranx.

    The rest brings pandas, matplotlib, scipy.stats and ir_datasets, which no measure uses and which
    take two seconds. It is imported when one of its names is first used.

    Returns:
        A function from ranx's name of a measure, such as "map", to the measure.

    Raises:
        RankpromptError: there is no folder for compiled code.
    """
    return _with_compiler_cache(_load_measures)


def _load_ranx() -> ModuleType:
    ranx = importlib.import_module("ranx")
    hasattr(ranx, "evaluate")  # Executes the package where _deferred put that off.
    return ranx


def _load_measures() -> Callable[[str], RanxMeasure]:
    from numba import config

    # ranx sets this, too: other threading layers may be absent, or differ between machines.
    vars(config)["THREADING_LAYER"] = "workqueue"
    if "ranx" not in sys.modules:
        sys.modules["ranx"] = _deferred("ranx")
    measures: Callable[[str], RanxMeasure] = importlib.import_module("ranx.metrics").metric_switch
    return measures


def _deferred(name: str) -> ModuleType:
    """A package whose ``__init__`` is executed when one of its names is first used.

    importlib's LazyLoader would execute it as soon as one of its submodules is imported.
    """
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.loader is not None
    module, execute = importlib.util.module_from_spec(spec), spec.loader.exec_module

    def get(attribute: str) -> object:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        vars(module).pop("__getattr__", None)
        execute(module)
        return getattr(module, attribute)

    vars(module)["__getattr__"] = get
    return module


def _with_compiler_cache(load: Callable[[], _T]) -> _T:
    """Imports with numba's cache in our folder; numba keys its files by its version and ranx's.

    numba reads the environment variable as it is imported, which bm25s may have done before; it
    makes the folder, and tries others where it cannot. Without a cache every process would compile
    again, or fail.
    """
    os.environ.setdefault("NUMBA_CACHE_DIR", str(cache_dir("numba")))
    import numba

    with _import_lock:
        numba.config.reload_config()  # type: ignore[no-untyped-call]
        try:
            return load()
        except RuntimeError as error:
            sys.modules.pop("ranx", None)
            raise RankpromptError(
                "ranx has no folder for its compiled code; set NUMBA_CACHE_DIR to a writable one "
                f"({error})"
            ) from error
