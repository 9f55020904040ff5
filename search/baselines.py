"""Baselines that a search must beat: the unpruned seed, and random pruning."""

from rankprompt.search.operators import random_genome
from rankprompt.search.search_state import Child, Generation, SearchState

__all__ = ["random_pruning", "unpruned"]


def unpruned(state: SearchState) -> Generation | None:
    """Scores the seed, and ends the search."""
    generation = None if state.generation else state.score_seed()
    state.stop = "the seed is scored"
    return generation


def random_pruning(state: SearchState) -> Generation:
    """Scores a generation of random genomes; generation 0 is the seed.

    All lengths from ``min_length`` to one less than the seed's are equally likely, as an evolution
    passes through them all.
    """
    if not state.generation:
        return state.score_seed()
    config, size = state.config, len(state.seed.genes)
    born = state.evaluate(
        [Child(random_genome(size, config.min_length, state.rng)) for _ in range(config.offspring)]
    )
    return state.finish_generation(born, born)
