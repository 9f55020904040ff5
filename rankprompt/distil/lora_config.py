"""How a LoRA adapter is trained."""

from dataclasses import dataclass
from math import isfinite

from rankprompt.errors import InputError

__all__ = ["EPOCHS", "LEARNING_RATE", "LoraConfig"]

EPOCHS, LEARNING_RATE = 3, 5e-4


@dataclass(frozen=True)
class LoraConfig:
    """How a LoRA adapter is trained.

    Attributes:
        epochs: how often each pair is seen, unless training stops early.
        learning_rate: AdamW's highest; it rises first, and then falls as a cosine to 0.

    Raises:
        InputError: a number is out of range.
    """

    epochs: int = EPOCHS
    learning_rate: float = LEARNING_RATE

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise InputError(f"`epochs` must be at least 1, not {self.epochs}")
        if not (isfinite(self.learning_rate) and self.learning_rate > 0):
            raise InputError(f"`learning_rate` must be above 0, not {self.learning_rate:g}")
