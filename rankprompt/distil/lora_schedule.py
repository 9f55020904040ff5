"""What a LoRA adapter is trained on, and when: the same for the same pairs, settings and seed."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from rankprompt.distil.lora_batches import Step, steps_of
from rankprompt.distil.lora_config import LoraConfig
from rankprompt.distil.lora_lessons import Lesson, PromptRow

__all__ = ["LoraLessons", "Schedule"]

# The learning rate rises over this share of the steps.
_WARM_UP = 0.05
# Validations of an epoch, and the pairs of each.
_VALIDATIONS, _VALIDATED = 4, 200


class LoraLessons(NamedTuple):
    """What an adapter is trained and validated on.

    Attributes:
        rows: the prompts.
        ordered: whether a prompt shows both documents of a pair.
        learned: the pairs to learn.
        held_out: the pairs to validate on, of other queries.
    """

    rows: Sequence[PromptRow]
    ordered: bool
    learned: Sequence[Lesson]
    held_out: Sequence[Lesson]

    @property
    def lengths(self) -> list[int]:
        """The tokens of each prompt."""
        return [len(row.tokens) for row in self.rows]


class Schedule:
    """The steps of a training, the same for the same pairs, settings and seed.

    Args:
        lessons: what is learnt.
        config: how.
        seed: the seed.

    Attributes:
        steps: all of them, one epoch after the other.
        validated: the held-out pairs of each validation.
        every: after so many steps the adapter is validated; also before the first and after the
            last.
    """

    def __init__(self, lessons: LoraLessons, config: LoraConfig, seed: int) -> None:
        lengths = lessons.lengths
        epochs = [
            steps_of(lessons.learned, lengths, ordered=lessons.ordered, epoch=epoch, seed=seed)
            for epoch in range(config.epochs)
        ]
        self.steps: list[Step] = [step for epoch in epochs for step in epoch]
        self.every = max(1, math.ceil(len(epochs[0]) / _VALIDATIONS))
        # Drawn pairs stand in the order of their queries; these are spread over all.
        stride = max(1, math.ceil(len(lessons.held_out) / _VALIDATED))
        self.validated = lessons.held_out[::stride]
        self._lengths, self._rate = lengths, config.learning_rate

    @property
    def validation_tokens(self) -> int:
        """The tokens that a validation reads."""
        return sum(
            self._lengths[one] for one in {n for each in self.validated for n in each.prompts}
        )

    @property
    def tokens(self) -> int:
        """The tokens that the whole training reads, validations included."""
        validations = 1 + math.ceil(len(self.steps) / self.every)
        return sum(map(self.tokens_of, self.steps)) + validations * self.validation_tokens

    def tokens_of(self, step: Step) -> int:
        """The tokens of a step's prompts."""
        return sum(self._lengths[one] for batch in step for one in batch.prompts)

    def rate(self, step: int) -> float:
        """The learning rate of a step, from 1."""
        warm = max(1, round(_WARM_UP * len(self.steps)))
        if step <= warm:
            return self._rate * step / warm
        done = (step - warm) / max(1, len(self.steps) - warm)
        return self._rate * (1 + math.cos(math.pi * done)) / 2
