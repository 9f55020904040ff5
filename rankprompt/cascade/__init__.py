"""The intra-document cascade (IDCM): windows, students, teachers, measurement and training.

A cheap student chooses a few windows of each document, and an expensive teacher or judge reads only
those (Hofstätter et al., SIGIR 2021, arXiv 2105.09816). The paper calls the two models ESM and ETM.
"""

from rankprompt.cascade.aggregation import aggregate_by
from rankprompt.cascade.cascade import Cascade, CascadeCounts
from rankprompt.cascade.students import STUDENTS, load_student
from rankprompt.cascade.windows import WindowConfig
from rankprompt.llm.tokenizer_offsets import model_offsets, word_offsets

__all__ = [
    "STUDENTS", "Cascade", "CascadeCounts", "WindowConfig", "aggregate_by", "load_student",
    "model_offsets", "word_offsets",
]  # fmt: skip
