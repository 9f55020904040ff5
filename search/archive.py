"""The archive: what each prompt scored, by its text."""

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

__all__ = ["Archive", "Fitness"]


class Fitness(Protocol):
    """How good prompts are."""

    def __call__(self, prompts: Sequence[str], /) -> Sequence[float]:
        """Scores prompts in a batch.

        Args:
            prompts: texts of templates, as in a prompt file; all different.

        Returns:
            One score each, in the same order; higher is better, any sign. What is not a finite
            number says that the prompt is infeasible.
        """


class Archive:
    """Asks a fitness once for each text: genomes that render alike are one prompt.

    Args:
        fitness: asked for what is new, in one batch a call.
        known: scores from an earlier attempt at the same search, used in place of the fitness.

    Attributes:
        scores: by text, in the order of evaluation; None where a prompt is infeasible.
    """

    def __init__(self, fitness: Fitness, known: Mapping[str, float | None] | None = None) -> None:
        self._fitness, self._known = fitness, dict(known or {})
        self.scores: dict[str, float | None] = {}

    def __call__(self, texts: Sequence[str]) -> list[float | None]:
        """The scores of texts, in the same order.

        Raises:
            ValueError: the fitness gave more or fewer scores than prompts.
        """
        new = self.new(texts)
        asked = [text for text in new if text not in self._known]
        found = {text: self._known[text] for text in new if text in self._known}
        if asked:
            given = self._fitness(asked)
            if len(given) != len(asked):
                raise ValueError(f"the fitness gave {len(given)} scores for {len(asked)} prompts")
            # DEAP finds a NaN both greater and smaller than all: it must never get that far.
            found |= {
                text: float(score) if math.isfinite(score) else None
                for text, score in zip(asked, given, strict=True)
            }
        self.scores |= {text: found[text] for text in new}
        return [self.scores[text] for text in texts]

    def new(self, texts: Sequence[str]) -> list[str]:
        """The different texts among these that have no score yet, in order."""
        return [text for text in dict.fromkeys(texts) if text not in self.scores]

    @property
    def evaluations(self) -> int:
        """How many different texts were scored."""
        return len(self.scores)

    @property
    def infeasible(self) -> int:
        """How many of them are infeasible."""
        return sum(score is None for score in self.scores.values())
