"""Controls that a student must beat: the first windows of a document, and windows at random."""

from collections.abc import Sequence

from rankprompt.cascade.window_scores import Asked
from rankprompt.rankers.seeded_random import uniform

__all__ = ["RandomStudent", "first"]


def first(windows: Sequence[Asked]) -> list[float]:
    """The earlier, the better."""
    return [-float(one.window) for one in windows]


class RandomStudent:
    """Draws scores by seed, query, document and place: the same ones whenever it is asked."""

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed

    def __call__(self, windows: Sequence[Asked]) -> list[float]:
        """Scores windows, in their order."""
        return [
            uniform(self._seed, "window", one.query, one.document, str(one.window))
            for one in windows
        ]
