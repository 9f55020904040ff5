"""The configuration of a distillation."""

from dataclasses import dataclass, field
from pathlib import Path

from rankprompt.errors import InputError
from rankprompt.llm.embedded import EMBEDDED
from rankprompt.pipeline.config import RerankConfig

__all__ = ["PAIRS", "PROMPT", "DistilConfig"]

PAIRS = 5000
"""The most pairs that are learnt from, unless another number is asked for."""
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
        student: the language model that the head stands on, or the adapter.
        prompt: the prompt that the student reads. A head's shows a query and a passage, and its
            options play no part; an adapter learns to choose between the two options of its own.
        pairs: the most pairs to learn from, validation included.

    Raises:
        InputError: a number is out of range.
    """

    output: Path
    teacher: RerankConfig = field(default_factory=RerankConfig)
    student: str = EMBEDDED
    prompt: str = PROMPT
    pairs: int = PAIRS

    def __post_init__(self) -> None:
        if self.pairs < 1:
            raise InputError(f"`pairs` must be at least 1, not {self.pairs}")
