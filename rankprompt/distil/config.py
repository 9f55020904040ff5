"""The configuration of a distillation."""

from dataclasses import dataclass, field
from pathlib import Path

from rankprompt.errors import InputError
from rankprompt.llm.embedded import EMBEDDED
from rankprompt.pipeline.config import RerankConfig

__all__ = ["CHOICES", "PAIRS", "PROMPT", "DistilConfig"]

PAIRS = 5000
"""The most pairs that are learnt from, unless another number is asked for."""
CHOICES = ("random", "doubt")
"""How the pairs that the teacher is asked about are chosen."""
PROMPT = "relevance-yes-no"
"""The prompt after which a student's states are read, unless another is named."""


@dataclass(frozen=True)
class DistilConfig:
    """The configuration of a distillation.

    Attributes:
        output: the folder to write.
        teacher: the reranking whose judge is the teacher: candidates, model, prompt, mode, order,
            passage tokens, budget and seed. With a journal (``output.journal``), pairs are those
            that it answers, and nothing is asked.
        student: the language model that the head stands on.
        prompt: the prompt, of kind "grades", whose text the student reads; its options play no
            part.
        pairs: the most pairs to learn from, validation included.
        choose: which pairs the teacher is asked about: "random", or those of a Bradley-Terry
            tournament ("doubt").

    Raises:
        InputError: a number is out of range, or a choice is not one.
    """

    output: Path
    teacher: RerankConfig = field(default_factory=RerankConfig)
    student: str = EMBEDDED
    prompt: str = PROMPT
    pairs: int = PAIRS
    choose: str = CHOICES[0]

    def __post_init__(self) -> None:
        if self.pairs < 1:
            raise InputError(f"`pairs` must be at least 1, not {self.pairs}")
        if self.choose not in CHOICES:
            raise InputError(f"`choose` must be {' or '.join(CHOICES)}, not {self.choose}")
        if self.choose != CHOICES[0] and self.teacher.output.journal:
            raise InputError(
                "`choose` says what the teacher is asked: leave it out where a `journal` answers"
            )
