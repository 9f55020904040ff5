"""The archive: what each prompt scored, by its text; and successive halving."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:  # it needs DEAP
    from rankprompt.search.individual import Individual

__all__ = ["Archive", "Fitness", "PartialFitness", "Scores"]

Scores: TypeAlias = dict[str, float | None]
"""Scores by text; None where a prompt is infeasible."""


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


class PartialFitness(Protocol):
    """A fitness that can do with a share of its examples, as successive halving asks for."""

    def __call__(self, prompts: Sequence[str], /, *, share: float) -> Sequence[float]:
        """Scores prompts on the same examples each, as ``Fitness``.

        Args:
            prompts: as for ``Fitness``.
            share: of the examples, above 0 and up to 1; a smaller share's are among a greater's.
        """


class Archive:
    """Asks a fitness once for each text: genomes that render alike are one prompt.

    With more than one rung, texts that come together race (successive halving, arXiv 1502.07943).
    All are scored on a share of the examples, the better half of them on twice as many, and so on;
    the last rung has them all. Whoever falls out has been compared with the others on the same
    examples. A text that comes again races again: its scores are known and cost nothing, and it may
    get further than before.

    Args:
        fitness: asked for what is new, in one batch a rung; with more than one, a
            ``PartialFitness``.
        known: scores from an earlier attempt at the same search, by rung, used in place of the
            fitness.
        rungs: how many; 1 scores everybody on all examples.

    Attributes:
        rungs: scores by rung, each in the order of evaluation.
    """

    def __init__(
        self,
        fitness: Fitness | PartialFitness,
        known: Sequence[Mapping[str, float | None]] = (),
        *,
        rungs: int = 1,
    ) -> None:
        self._fitness, self._known = fitness, known or [{}] * rungs
        self.rungs: list[Scores] = [{} for _ in range(rungs)]

    def __call__(self, texts: Sequence[str]) -> list[tuple[float | None, ...]]:
        """The scores of texts on the rungs that they reach, in the same order.

        Of equals at the middle, the earlier one gets further.

        Raises:
            ValueError: the fitness gave more or fewer scores than prompts.
        """
        found: dict[str, tuple[float | None, ...]] = dict.fromkeys(texts, ())
        racing = list(found)
        for rung, scores in enumerate(self.rungs):
            self._ask(rung, [text for text in racing if text not in scores])
            for text in racing:
                found[text] += (scores[text],)
            ranked = sorted(racing, key=lambda text: _order(found[text]), reverse=True)
            best = {
                text for text in ranked[: (len(racing) + 1) // 2] if found[text][-1] is not None
            }
            racing = [text for text in racing if text in best]
        return [found[text] for text in texts]

    def _ask(self, rung: int, new: list[str]) -> None:
        known = self._known[rung]
        asked = [text for text in new if text not in known]
        found = {text: known[text] for text in new if text in known}
        if asked:
            given = self._score(rung, asked)
            if len(given) != len(asked):
                raise ValueError(f"the fitness gave {len(given)} scores for {len(asked)} prompts")
            # DEAP finds a NaN both greater and smaller than all: it must never get that far.
            found |= {
                text: float(score) if math.isfinite(score) else None
                for text, score in zip(asked, given, strict=True)
            }
        self.rungs[rung] |= {text: found[text] for text in new}

    def _score(self, rung: int, texts: list[str]) -> Sequence[float]:
        if len(self.rungs) == 1:
            return self._fitness(texts)  # type: ignore[call-arg] # that is a Fitness
        return self._fitness(texts, share=2.0 ** (rung + 1 - len(self.rungs)))  # type: ignore[call-arg]

    def recall(self, history: "Iterable[Individual]") -> None:
        """Takes in what individuals scored, in their order."""
        for one in history:
            for scores, score in zip(self.rungs, one.rungs, strict=False):
                scores.setdefault(one.text, score)

    def new(self, texts: Sequence[str]) -> list[str]:
        """The different texts among these that have no score yet, in order."""
        return [text for text in dict.fromkeys(texts) if text not in self.rungs[0]]

    @property
    def scores(self) -> Scores:
        """Scores on all examples, in the order of evaluation."""
        return self.rungs[-1]

    @property
    def evaluations(self) -> int:
        """How many different texts were scored, be it on a share of the examples."""
        return len(self.rungs[0])

    @property
    def infeasible(self) -> int:
        """How many of them are infeasible."""
        return sum(score is None for scores in self.rungs for score in scores.values())


def _order(scores: tuple[float | None, ...]) -> float:
    return -math.inf if scores[-1] is None else scores[-1]
