"""Where the verbs that score runs find their grades."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rankprompt.eval import Grades, Measure

__all__ = ["grades_of"]


def grades_of(
    qrels: Path | None, dataset: str | None, split: str | None, measures: "Sequence[Measure]"
) -> "Grades":
    """The grades that the user named.

    Raises:
        InputError: neither or both of file and dataset are given, or they cannot be read.
    """
    from rankprompt.collections import open_collection
    from rankprompt.errors import InputError
    from rankprompt.eval import Grades
    from rankprompt.files import read_qrels

    if (qrels is None) == (dataset is None):
        raise InputError("give either --qrels or --dataset")
    if qrels:
        return Grades(read_qrels(qrels), measures)
    return Grades.of(open_collection(dataset or "", split=split), measures)
