"""The search methods by name, and the loop that runs them."""

from collections.abc import Callable, Iterator, Mapping

from rankprompt.search.baselines import random_pruning, unpruned
from rankprompt.search.promptquine import evolve
from rankprompt.search.search_state import ExternalStop, Generation, SearchState
from rankprompt.search.tapruning import tapruning

__all__ = ["run_search"]

_METHODS: Mapping[str, Callable[[SearchState], Generation | None]] = {
    "gga": evolve,
    "ssga": evolve,
    "tapruning": tapruning,
    "random": random_pruning,
    "unpruned": unpruned,
}


def run_search(state: SearchState, external: ExternalStop | None = None) -> Iterator[Generation]:
    """Searches by the configured method until it ends, and yields each finished generation.

    Args:
        state: a new or resumed search; it is changed, and its ``stop`` says why it ended.
        external: stop criteria outside the search.
    """
    step = _METHODS[state.config.method]
    while state.stop is None:
        state.stop = state.stop_reason(external or ExternalStop())
        if state.stop is None and (generation := step(state)):
            yield generation
