"""PromptQuine's evolution (arXiv 2506.17930, section 4): GGA and SSGA, one generation a call."""

from rankprompt.errors import InputError
from rankprompt.search.individual import Individual
from rankprompt.search.operators import Operators, toolbox
from rankprompt.search.search_state import Child, Generation, SearchState

__all__ = ["evolve"]


def evolve(state: SearchState) -> Generation:
    """Evolves one generation; generation 0 is the first population.

    A child with a known prompt takes over that prompt's score, competes and may become a parent
    like any other, and costs no evaluation. Infeasible individuals are worse than all others; where
    all are infeasible, the search continues among them.

    Raises:
        InputError: the seed is not longer than the minimum length.
    """
    config = state.config
    if len(state.seed.genes) <= config.min_length:
        raise InputError(
            f"the seed prompt has {len(state.seed.genes)} prunable tokens and the minimal length "
            f"is {config.min_length}: nothing would be pruned; lower `min_length`"
        )
    operators = toolbox(config, state.rng)
    if not state.generation or state.is_short:  # the first generation, or a restart
        genomes = operators.start(state.seed.whole)
        born = state.evaluate([Child(genome) for genome in genomes])
    else:
        born = _breed(state, operators)
    return state.finish_generation(born, operators.survive(born))


def _breed(state: SearchState, operators: Operators) -> list[Individual]:
    """Breeds the children of a generation; fewer where the budget of evaluations ends."""
    pool = list(state.population)
    children: list[Individual] = []
    number = state.config.offspring
    # GGA breeds all children from the fixed population. SSGA evaluates each child at once and adds
    # it to the pool of parents.
    batch = number if state.config.method == "gga" else 1
    while len(children) < number:
        operators.prepare(pool)
        parents = [operators.select(pool) for _ in range(batch)]
        born = state.evaluate(
            [Child(operators.mutate(parent.genome), (parent.number,)) for parent in parents]
        )
        children += born
        pool += born
        if len(born) < batch:
            break
    return children
