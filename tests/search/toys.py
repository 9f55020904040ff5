"""A tokenizer of words, a seed of twelve of them, and scores that cost nothing."""

import random
import re
from collections.abc import Sequence
from itertools import pairwise, product

from rankprompt.prompts.template import parse_template
from rankprompt.rankers.seeded_random import uniform
from rankprompt.search import Archive, Fitness, SearchSettings, SeedPrompt, segment
from rankprompt.search.individuals import Individual
from rankprompt.search.state import Search

__all__ = ["best_of_all", "by_hash", "individual", "landscape", "seed_of", "start", "words"]


def words(text: str) -> list[tuple[int, int]]:
    """Words, each with the space before it."""
    return [found.span() for found in re.finditer(r"\s*\S+", text)]


def seed_of(size: int) -> SeedPrompt:
    """Words w0 to w(size - 1), and a slot."""
    text = " ".join(f"w{number}" for number in range(size))
    return SeedPrompt(segment(parse_template(text + " {query}"), [" "]), words)


def by_hash(prompts: Sequence[str]) -> list[float]:
    """Scores from -1 to 1 that look random and depend on the text alone."""
    return [2 * uniform(7, prompt) - 1 for prompt in prompts]


def landscape(seed: int) -> Fitness:
    """Each word is good or bad to have, and so is each pair of words beside it."""
    rng = random.Random(seed)
    alone = {f"w{number}": rng.gauss(0, 1) for number in range(12)}
    pairs = {(one, other): rng.gauss(0, 0.2) for one in alone for other in alone}

    def score(prompt: str) -> float:
        kept = prompt.split()[:-1]
        return sum(alone[one] for one in kept) + sum(pairs[pair] for pair in pairwise(kept))

    return lambda prompts: [score(prompt) for prompt in prompts]


def best_of_all(seed: SeedPrompt, fitness: Fitness) -> float:
    """The best score of any genome, by exhaustive search."""
    texts = [seed.render(genome) for genome in product([False, True], repeat=len(seed.genes))]
    return max(fitness(texts))


def start(size: int, fitness: Fitness = by_hash, **settings: object) -> Search:
    """A fresh search on a toy seed."""
    made = SearchSettings(**{"min_length": 0, **settings})  # type: ignore[arg-type]
    return Search.begin(seed_of(size), made, Archive(fitness))


def individual(
    number: int, score: float | None, length: int = 1, *, pareto: bool = False
) -> Individual:
    """Somebody with this score."""
    genome = (True,) * length
    return Individual(
        number, 0, (), genome, str(number), length, length, score, True, pareto=pareto
    )
