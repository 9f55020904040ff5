"""The operators of PromptQuine (arXiv 2506.17930, section 4), in a DEAP toolbox.

Only deletion, the order kept: no insertion and no crossover.
"""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from deap import base, tools

from rankprompt.search.config import SearchSettings
from rankprompt.search.genome import Genome
from rankprompt.search.individual import Individual

__all__ = ["copies", "lent", "pruned_copies", "random_genome", "replicate", "toolbox", "tournament"]


@contextmanager
def lent(rng: random.Random) -> Iterator[None]:
    """Lends a generator to DEAP, which draws from the global ``random``; that is put back after.

    Other threads must not draw from the global generator meanwhile.
    """
    state = random.getstate()
    random.setstate(rng.getstate())
    try:
        yield
    finally:
        rng.setstate(random.getstate())
        random.setstate(state)


def copies(whole: Genome, number: int) -> list[Genome]:
    """The first population as the paper has it: the seed, so many times."""
    return [whole] * number


def pruned_copies(
    whole: Genome, number: int, rates: tuple[float, float], rng: random.Random
) -> list[Genome]:
    """The other first population: copies whose genes are dropped, each copy at a rate of its own.

    Args:
        whole: the seed's genome.
        number: of copies.
        rates: the least and the greatest.
        rng: draws a copy's rate, uniformly, and then whether each gene is dropped.
    """
    drawn = (rng.uniform(*rates) for _ in range(number))
    return [tuple(kept and rng.random() >= rate for kept in whole) for rate in drawn]


def random_genome(size: int, shortest: int, rng: random.Random) -> Genome:
    """A genome that keeps from ``shortest`` up to all but one gene, every length equally likely."""
    length = rng.randint(min(shortest, size - 1), size - 1)
    kept = set(rng.sample(range(size), length))
    return tuple(gene in kept for gene in range(size))


def replicate(genome: Genome, mutations: Sequence[int], rng: random.Random) -> Genome:
    """Copies a parent and switches m live genes off, m drawn from ``mutations``.

    Where fewer live, all of them go: the slots and what is frozen remain. (The reference code
    draws again until one stays, which changes the distribution of m.)
    """
    live = [gene for gene, kept in enumerate(genome) if kept]
    gone = set(rng.sample(live, min(rng.choice(mutations), len(live))))
    return tuple(kept and gene not in gone for gene, kept in enumerate(genome))


def tournament(
    pool: Sequence[Individual], share: float, rng: random.Random, *, by: str = "fitness"
) -> Individual:
    """The best of a share of the pool drawn with replacement; of equals, the one drawn first.

    The share is rounded down and is at least one. It is of the pool as it stands, which in SSGA
    grows (as in the reference code).
    """
    # A hair more, so that 0.29 of 100 is 29 although the product is 28.999...
    size = max(1, int(share * len(pool) + 1e-9))
    with lent(rng):
        chosen: Individual = tools.selTournament(pool, 1, size, fit_attr=by)[0]
    return chosen


def _survive(children: Sequence[Individual], number: int) -> list[Individual]:
    """Regularised survival: the best of the children alone, no parent among them."""
    chosen: list[Individual] = tools.selBest(children, number)
    return chosen


def _survive_pareto(children: Sequence[Individual], number: int) -> list[Individual]:
    """The same by fronts and crowding (Deb 2002); the children alone, unlike there."""
    chosen: list[Individual] = tools.selNSGA2(children, number)
    return chosen


def _crowd(pool: Sequence[Individual]) -> None:
    """Notes everybody's front and crowding within the pool (Deb 2002, crowded comparison)."""
    for number, front in enumerate(tools.sortNondominated(pool, len(pool))):
        tools.emo.assignCrowdingDist(front)
        for one in front:
            one.crowded = (-number, one.fitness.crowding_dist)


def toolbox(settings: SearchSettings, rng: random.Random) -> Any:
    """The operators with the settings bound.

    Returns:
        A ``deap.base.Toolbox``: ``start(whole)`` gives the first genomes, ``prepare(pool)`` is
        called when the parent pool has changed, ``select(pool)`` gives a parent, ``mutate(genome)``
        a child's genome, ``survive(children)`` who lives on.
    """
    box = base.Toolbox()
    if settings.start == "seed":
        box.register("start", copies, number=settings.population)
    else:
        rates = settings.start_pruned
        box.register("start", pruned_copies, number=settings.population, rates=rates, rng=rng)
    by = "crowded" if settings.pareto else "fitness"
    box.register("prepare", _crowd if settings.pareto else len)
    box.register("select", tournament, share=settings.tournament, rng=rng, by=by)
    box.register("mutate", replicate, mutations=settings.mutations, rng=rng)
    survive = _survive_pareto if settings.pareto else _survive
    box.register("survive", survive, number=settings.population)
    return box
