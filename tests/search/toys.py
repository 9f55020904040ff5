"""A tokenizer of words, a seed of twelve of them, and scores that cost nothing."""

import random
import re
from collections.abc import Callable, Sequence
from itertools import pairwise, product
from typing import TypeAlias

from rankprompt.prompts.template import Template, parse_template
from rankprompt.rankers.seeded_random import uniform
from rankprompt.search import Archive, Fitness, SearchConfig, SeedPrompt, segment
from rankprompt.search.individual import Individual
from rankprompt.search.search_state import SearchState

__all__ = [
    "TextScores",
    "best_of_all",
    "by_hash",
    "individual",
    "landscape",
    "on_texts",
    "seed_of",
    "start",
    "words",
]

TextScores: TypeAlias = Callable[[Sequence[str]], Sequence[float]]
"""Scores of prompts by their texts."""


def words(text: str) -> list[tuple[int, int]]:
    """Words, each with the space before it."""
    return [found.span() for found in re.finditer(r"\s*\S+", text)]


def seed_of(size: int) -> SeedPrompt:
    """Words w0 to w(size - 1), and a slot."""
    text = " ".join(f"w{number}" for number in range(size))
    return SeedPrompt(segment(parse_template(text + " {query}"), [" "]), words)


def on_texts(scores: TextScores) -> Fitness:
    """A fitness, always on all examples."""

    def fitness(prompts: Sequence[Template], /, *, share: float) -> Sequence[float]:
        assert share == 1.0
        return scores([str(prompt) for prompt in prompts])

    return fitness


def by_hash(prompts: Sequence[str]) -> list[float]:
    """Scores from -1 to 1 that look random and depend on the text alone."""
    return [2 * uniform(7, prompt) - 1 for prompt in prompts]


def landscape(seed: int) -> TextScores:
    """Each word is good or bad to have, and so is each pair of words beside it."""
    rng = random.Random(seed)
    alone = {f"w{number}": rng.gauss(0, 1) for number in range(12)}
    pairs = {(one, other): rng.gauss(0, 0.2) for one in alone for other in alone}

    def score(prompt: str) -> float:
        kept = prompt.split()[:-1]
        return sum(alone[one] for one in kept) + sum(pairs[pair] for pair in pairwise(kept))

    return lambda prompts: [score(prompt) for prompt in prompts]


def best_of_all(seed: SeedPrompt, scores: TextScores) -> float:
    """The best score of any genome, by exhaustive search."""
    genomes = product([False, True], repeat=len(seed.genes))
    return max(scores([str(seed.template(genome)) for genome in genomes]))


def start(size: int, scores: TextScores = by_hash, **config: object) -> SearchState:
    """A new search on a toy seed."""
    made = SearchConfig(**{"min_length": 0, **config})  # type: ignore[arg-type]
    return SearchState(seed_of(size), made, Archive(on_texts(scores)))


def individual(
    number: int, score: float | None, length: int = 1, *, pareto: bool = False
) -> Individual:
    """An individual with this score."""
    genome = (True,) * length
    return Individual(
        number, 0, (), genome, str(number), length, length, score, True, pareto=pareto
    )
