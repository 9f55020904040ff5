"""The configurations of a distillation, and of a generation of queries."""

from dataclasses import dataclass, field
from pathlib import Path

from rankprompt.errors import InputError
from rankprompt.llm.embedded import EMBEDDED
from rankprompt.pipeline.config import JudgeConfig, ModelConfig, RerankConfig

__all__ = [
    "ASKED",
    "CHOICES",
    "NUMBER",
    "PAIRS",
    "PROMPT",
    "DistilConfig",
    "GenerationConfig",
]

PAIRS = 5000
"""The most pairs that are learnt from, unless another number is asked for."""
CHOICES = ("random", "doubt")
"""How the pairs that the teacher is asked about are chosen."""
PROMPT = "relevance-yes-no"
"""The prompt after which a student's states are read, unless another is named."""
NUMBER = 500
"""How many queries are written, unless another number is asked for."""
ASKED = RerankConfig(model=ModelConfig(name=EMBEDDED), judge=JudgeConfig(passage_tokens=200))
"""Who writes, and how much of a passage is shown, unless it is said."""


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


@dataclass(frozen=True)
class GenerationConfig:
    """The configuration of a generation of queries.

    Attributes:
        asked: the documents (``data.docs``, or ``data.dataset`` with its ``split``, and
            ``data.fields``), the model, the prompt (of kind "likelihood") and the tokens of a
            passage, the budget, the seed, and where queries (``output.run``) and journal go. The
            rest plays no part.
        number: how many queries.
        qrels: where to write which query was written for which passage; None for nowhere.

    Raises:
        InputError: a number is out of range.
    """

    asked: RerankConfig = ASKED
    number: int = NUMBER
    qrels: Path | None = None

    def __post_init__(self) -> None:
        if self.number < 1:
            raise InputError(f"`number` must be at least 1, not {self.number}")
