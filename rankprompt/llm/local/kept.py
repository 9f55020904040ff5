"""Keeps what was computed last, up to a size, for several threads."""

from collections.abc import Iterable, Mapping
from threading import Lock
from typing import Generic, TypeVar

__all__ = ["Kept"]

K = TypeVar("K")
V = TypeVar("V")


class Kept(Generic[K, V]):
    """Values by key; the oldest are forgotten.

    Args:
        limit: how large all values may be together.

    Examples:
        >>> from rankprompt.llm.local.kept import Kept
        >>> kept = Kept(5)
        >>> kept.keep({"a": 1, "b": 2}, {"a": 3, "b": 2})
        >>> kept.keep({"c": 3}, {"c": 2})
        >>> kept.find("abc")
        {'b': 2, 'c': 3}
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = Lock()
        self._values: dict[K, tuple[V, int]] = {}
        self._size = 0

    def find(self, keys: Iterable[K]) -> dict[K, V]:
        """The values of those keys that are kept."""
        with self._lock:
            return {key: self._values[key][0] for key in keys if key in self._values}

    def keep(self, values: Mapping[K, V], sizes: Mapping[K, int]) -> None:
        """Keeps values, each of the size that ``sizes`` says."""
        with self._lock:
            for key, value in values.items():
                if key not in self._values:
                    self._values[key] = value, sizes[key]
                    self._size += sizes[key]
            while self._size > self._limit:
                _, size = self._values.pop(next(iter(self._values)))
                self._size -= size
