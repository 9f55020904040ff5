"""The archive of evaluated prompts, with successive halving."""

import math
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from rankprompt.prompts.template import Template
from rankprompt.search.fitness.base import Fitness

__all__ = ["Archive", "RungScores", "ScoredPrompt"]

RungScores: TypeAlias = dict[Template, float | None]
"""The scores of one rung by prompt, in the order of evaluation; None for an infeasible prompt."""

ScoredPrompt: TypeAlias = tuple[Template, Sequence[float | None]]
"""A prompt and its scores by rung."""


class Archive:
    """Evaluates each distinct prompt once: genomes with the same prompt share its score.

    With several rungs, the prompts of one call race by successive halving (arXiv 1502.07943): all
    are scored on a share of the examples, the better half on twice as many, and so on, up to all
    examples. A prompt that comes again races again at no cost, and may reach a higher rung.

    Args:
        fitness: scores the prompts that have no score yet, in one batch for each rung.
        known: scores from an earlier attempt at the same search, used in place of the fitness.
        rungs: the number of rungs; 1 scores every prompt on all examples.

    Attributes:
        rungs: the scores of each rung.
    """

    def __init__(
        self,
        fitness: Fitness,
        known: Iterable[ScoredPrompt] = (),
        *,
        rungs: int = 1,
    ) -> None:
        self._fitness, self._known = fitness, _by_rung(known, rungs)
        self.rungs = _by_rung((), rungs)

    def __call__(self, prompts: Sequence[Template]) -> list[tuple[float | None, ...]]:
        """Gives the scores of prompts on the rungs that they reach, in the same order.

        Of equal scores at the median, the earlier prompt advances.

        Raises:
            ValueError: the fitness gave more or fewer scores than prompts.
        """
        reached: dict[Template, tuple[float | None, ...]] = dict.fromkeys(prompts, ())
        racing = list(reached)
        for rung, scores in enumerate(self.rungs):
            self._evaluate(rung, [prompt for prompt in racing if prompt not in scores])
            for prompt in racing:
                reached[prompt] += (scores[prompt],)
            ranked = sorted(racing, key=lambda prompt: _sort_key(reached[prompt]), reverse=True)
            better_half = set(ranked[: (len(racing) + 1) // 2])
            racing = [
                prompt for prompt in racing if prompt in better_half and scores[prompt] is not None
            ]
        return [reached[prompt] for prompt in prompts]

    def _evaluate(self, rung: int, unscored: Sequence[Template]) -> None:
        known = self._known[rung]
        new = [prompt for prompt in unscored if prompt not in known]
        scores = {prompt: known[prompt] for prompt in unscored if prompt in known}
        if new:
            given = self._fitness(new, share=2.0 ** (rung + 1 - len(self.rungs)))
            if len(given) != len(new):
                raise ValueError(f"the fitness gave {len(given)} scores for {len(new)} prompts")
            scores |= {
                prompt: float(score) if math.isfinite(score) else None
                for prompt, score in zip(new, given, strict=True)
            }
        self.rungs[rung] |= {prompt: scores[prompt] for prompt in unscored}

    def recall(self, scored: Iterable[ScoredPrompt]) -> None:
        """Takes over the scores of a recorded history, in its order."""
        self.rungs = _by_rung(scored, len(self.rungs))

    def unseen(self, prompts: Sequence[Template]) -> list[Template]:
        """Gives the distinct prompts among these that have no score yet, in order."""
        return [prompt for prompt in dict.fromkeys(prompts) if prompt not in self.rungs[0]]

    @property
    def scores(self) -> RungScores:
        """The scores on all examples, in the order of evaluation."""
        return self.rungs[-1]

    @property
    def evaluations(self) -> int:
        """The number of distinct prompts that were scored, be it on a share of the examples."""
        return len(self.rungs[0])

    @property
    def infeasible(self) -> int:
        """The number of infeasible scores."""
        return sum(score is None for scores in self.rungs for score in scores.values())


def _sort_key(scores: tuple[float | None, ...]) -> float:
    return -math.inf if scores[-1] is None else scores[-1]


def _by_rung(scored: Iterable[ScoredPrompt], rungs: int) -> list[RungScores]:
    by_rung: list[RungScores] = [{} for _ in range(rungs)]
    for prompt, reached in scored:
        for scores, score in zip(by_rung, reached, strict=False):
            scores.setdefault(prompt, score)
    return by_rung
