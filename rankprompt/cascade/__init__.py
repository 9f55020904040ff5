"""The intra-document cascade (IDCM): a cheap student chooses what an expensive teacher reads."""

from rankprompt.cascade.aggregation import aggregate_by
from rankprompt.cascade.cascade import Cascade, Counts
from rankprompt.cascade.students import STUDENTS, load_student
from rankprompt.cascade.windows import WindowSettings
from rankprompt.llm.tokenizer_offsets import model_offsets, word_offsets

__all__ = [
    "STUDENTS",
    "Cascade",
    "Counts",
    "WindowSettings",
    "aggregate_by",
    "load_student",
    "model_offsets",
    "word_offsets",
]
