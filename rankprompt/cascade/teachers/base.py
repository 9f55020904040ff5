"""What a teacher is to the cascade."""

from collections.abc import Sequence
from typing import Protocol

__all__ = ["ModelTeacher"]


class ModelTeacher(Protocol):
    """Scores pairs of a query's and a window's text by a model."""

    @property
    def fingerprint(self) -> str:
        """Changes whenever the scores may."""

    @property
    def tokens(self) -> int:
        """Read so far, padding left out."""

    @property
    def windows_cut(self) -> int:
        """Texts scored so far that are longer than what it reads."""

    def cuts(self, query: str) -> bool:
        """Whether a query is longer than what it reads of one."""

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Scores, in the pairs' order; higher is more relevant.

        Raises:
            ModelError: a pair cannot be scored.
        """
