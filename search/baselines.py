"""What a search must beat: the seed as it is, and pruning without any guidance."""

from collections.abc import Iterator

from rankprompt.search.operators import random_genome
from rankprompt.search.search_state import Child, Generation, Limits, Search, reason_to_stop

__all__ = ["random_pruning", "unpruned"]


def unpruned(search: Search, limits: Limits | None = None) -> Iterator[Generation]:
    """Scores the seed, and yields that one generation."""
    stop = reason_to_stop(search, limits or Limits())
    if not search.generation and not stop:
        born = search.evaluate([Child(search.seed.whole)])
        yield search.finish(born, born)
    search.stop = stop or "the seed is scored"


def random_pruning(search: Search, limits: Limits | None = None) -> Iterator[Generation]:
    """Scores genomes drawn at random up to the budget of evaluations, a generation at a time.

    Generation 0 is the seed. Every length from the minimal one up is equally likely, as an
    evolution passes them all. What stops an evolution stops this, but for the mean length.

    Args:
        search: fresh, or resumed; it is changed.
        limits: what ends the search from outside.
    """
    settings, size = search.settings, len(search.seed.genes)
    while not (stop := reason_to_stop(search, limits or Limits())):
        children = [Child(search.seed.whole)]
        if search.generation:
            children = [
                Child(random_genome(size, settings.min_length, search.rng))
                for _ in range(settings.offspring)
            ]
        born = search.evaluate(children)
        yield search.finish(born, born)
    search.stop = stop
