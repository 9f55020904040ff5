"""PromptQuine's evolution (arXiv 2506.17930, section 4): GGA and SSGA as one loop."""

from collections.abc import Iterator
from typing import Any

from rankprompt.errors import InputError
from rankprompt.search.individual import Individual
from rankprompt.search.operators import toolbox
from rankprompt.search.search_state import Child, Generation, Limits, Search, reason_to_stop

__all__ = ["evolve"]


def evolve(search: Search, limits: Limits | None = None) -> Iterator[Generation]:
    """Evolves a population, and yields each generation when it is finished.

    Generation 0 is the first population. A duplicate of an earlier text gets that text's score,
    competes and may parent like any other, and costs no evaluation. Infeasible individuals are
    worse than all others; where all are, the search goes on among them.

    Args:
        search: fresh, or resumed; it is changed.
        limits: what ends the search from outside.

    Raises:
        InputError: the seed is no longer than the minimal length.
    """
    settings = search.settings
    if len(search.seed.genes) <= settings.min_length:
        raise InputError(
            f"the seed prompt has {len(search.seed.genes)} prunable tokens and the minimal length "
            f"is {settings.min_length}: nothing would be pruned; lower the minimal length"
        )
    tools = toolbox(settings, search.rng)
    while not (stop := reason_to_stop(search, limits or Limits())):
        begins = not search.generation or search.short
        born = _begin(search, tools) if begins else _breed(search, tools)
        yield search.finish(born, tools.survive(born))
    search.stop = stop


def _begin(search: Search, tools: Any) -> list[Individual]:
    return search.evaluate([Child(genome) for genome in tools.start(search.seed.whole)])


def _breed(search: Search, tools: Any) -> list[Individual]:
    """The children of a generation; fewer where the budget of evaluations ends."""
    pool = list(search.population)
    children: list[Individual] = []
    # The one difference: GGA's children meet the pool when all are born, SSGA's one by one.
    number = search.settings.offspring
    batch = number if search.settings.method == "gga" else 1
    while len(children) < number:
        tools.prepare(pool)
        parents = [tools.select(pool) for _ in range(batch)]
        born = search.evaluate([Child(tools.mutate(one.genome), (one.number,)) for one in parents])
        children += born
        pool += born
        if len(born) < batch:
            break
    return children
