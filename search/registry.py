"""The ways to search, by name."""

from collections.abc import Callable, Iterator, Mapping

from rankprompt.search.baselines import random_pruning, unpruned
from rankprompt.search.promptquine import evolve
from rankprompt.search.search_state import Generation, Limits, Search
from rankprompt.search.tapruning import tapruning

__all__ = ["search"]

_METHODS: Mapping[str, Callable[[Search, Limits | None], Iterator[Generation]]] = {
    "gga": evolve,
    "ssga": evolve,
    "tapruning": tapruning,
    "random": random_pruning,
    "unpruned": unpruned,
}


def search(under_way: Search, limits: Limits | None = None) -> Iterator[Generation]:
    """Searches by the method that the settings name, and yields finished generations."""
    return _METHODS[under_way.settings.method](under_way, limits)
