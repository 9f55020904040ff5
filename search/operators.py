"""The operators of PromptQuine (arXiv 2506.17930, section 4), in a DEAP toolbox.

Genes are only deleted and keep their order: there is no insertion and no crossover.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from deap import base, tools

from rankprompt.search.config import SearchConfig
from rankprompt.search.genome import Genome
from rankprompt.search.individual import Individual

__all__ = [
    "Operators",
    "global_random",
    "pruned_copies",
    "random_genome",
    "replicate",
    "seed_copies",
    "toolbox",
    "tournament",
]


@contextmanager
def global_random(rng: random.Random) -> Iterator[None]:
    """Lets DEAP, which draws from the global ``random``, draw from a generator instead.

    The global state is restored afterwards. Other threads must not draw from it meanwhile.
    """
    state = random.getstate()
    random.setstate(rng.getstate())
    try:
        yield
    finally:
        rng.setstate(random.getstate())
        random.setstate(state)


def seed_copies(whole: Genome, number: int) -> list[Genome]:
    """Gives the paper's first population: copies of the seed."""
    return [whole] * number


def pruned_copies(
    whole: Genome, number: int, rates: tuple[float, float], rng: random.Random
) -> list[Genome]:
    """Gives the paper's other first population: copies, each pruned at a rate drawn uniformly."""
    drawn = (rng.uniform(*rates) for _ in range(number))
    return [tuple(kept and rng.random() >= rate for kept in whole) for rate in drawn]


def random_genome(size: int, min_length: int, rng: random.Random) -> Genome:
    """Draws a genome with ``min_length`` to ``size`` - 1 kept genes, each length equally likely."""
    length = rng.randint(min(min_length, size - 1), size - 1)
    kept = set(rng.sample(range(size), length))
    return tuple(gene in kept for gene in range(size))


def replicate(genome: Genome, mutations: Sequence[int], rng: random.Random) -> Genome:
    """Copies a parent and prunes m of its kept genes, m drawn from ``mutations``.

    Where fewer genes are kept, all are pruned. Deviation: the reference code draws again until a
    gene remains, which changes the distribution of m.
    """
    kept_genes = [gene for gene, kept in enumerate(genome) if kept]
    pruned = set(rng.sample(kept_genes, min(rng.choice(mutations), len(kept_genes))))
    return tuple(kept and gene not in pruned for gene, kept in enumerate(genome))


def tournament(
    pool: Sequence[Individual], share: float, rng: random.Random, *, by: str = "fitness"
) -> Individual:
    """Gives the best of a share of the pool drawn with replacement; of equals, the first drawn.

    The share is rounded down to at least one individual. It is of the pool as it stands, which in
    SSGA grows with each child, as in the reference code.
    """
    # The small addition makes 0.29 of 100 equal 29, although the product is 28.999...
    size = max(1, int(share * len(pool) + 1e-9))
    with global_random(rng):
        winner: Individual = tools.selTournament(pool, 1, size, fit_attr=by)[0]
    return winner


def _assign_crowding(pool: Sequence[Individual]) -> None:
    """Sets each individual's front and crowding distance within the pool (NSGA-II, Deb 2002)."""
    for number, front in enumerate(tools.sortNondominated(pool, len(pool))):
        tools.emo.assignCrowdingDist(front)
        for individual in front:
            individual.crowding = (-number, individual.fitness.crowding_dist)


class Operators(Protocol):
    """A ``deap.base.Toolbox`` with the operators of a search.

    ``start`` gives the first population from the seed's genome; ``prepare`` prepares a changed pool
    of parents; ``select`` gives a parent, ``mutate`` a child's genome; ``survive`` gives the next
    population, the best children first.
    """

    start: Callable[[Genome], list[Genome]]
    prepare: Callable[[Sequence[Individual]], object]
    select: Callable[[Sequence[Individual]], Individual]
    mutate: Callable[[Genome], Genome]
    survive: Callable[[Sequence[Individual]], list[Individual]]


def toolbox(config: SearchConfig, rng: random.Random) -> Operators:
    """Gives the operators of a configuration.

    Survival is regularised evolution: only the children compete, without elitism. Unlike in
    NSGA-II, that holds with two objectives, too.
    """
    box = base.Toolbox()
    if config.start == "seed":
        box.register("start", seed_copies, number=config.population)
    else:
        rates = config.start_pruned
        box.register("start", pruned_copies, number=config.population, rates=rates, rng=rng)
    by = "crowding" if config.pareto else "fitness"
    box.register("prepare", _assign_crowding if config.pareto else len)
    box.register("select", tournament, share=config.tournament, rng=rng, by=by)
    box.register("mutate", replicate, mutations=config.mutations, rng=rng)
    box.register("survive", tools.selNSGA2 if config.pareto else tools.selBest, k=config.population)
    operators: Operators = box
    return operators
