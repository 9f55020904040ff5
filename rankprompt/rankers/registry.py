"""The table of ranking methods by name. To add a ranker, write a file and add a line here."""

from importlib import import_module

from rankprompt.errors import InputError, UnknownNameError
from rankprompt.rankers.base import Method
from rankprompt.rankers.stages import join_stages, split_stages
from rankprompt.types import PairwiseQuestion

__all__ = ["METHODS", "PAIRWISE", "method"]

# By method: its module in this package, which defines METHOD.
_FILES = {
    "allpair": "allpair",
    "heapsort": "heapsort",
    "sliding": "sliding",
    "pipelined": "pipelined_sliding",
    "quickselect": "quickselect",
    "bradley-terry": "bradley_terry",
    "prp-graph": "prp_graph",
    "pointwise": "pointwise",
    "setwise-heapsort": "setwise_heapsort",
    "setwise-bubblesort": "setwise_bubblesort",
    "setwise-insertion": "setwise_insertion",
    "listwise": "listwise",
    "tourrank": "tourrank",
}

METHODS: dict[str, Method] = {
    name: import_module(f"rankprompt.rankers.{file}").METHOD for name, file in _FILES.items()
}
"""The ranking methods by name."""

PAIRWISE: tuple[str, ...] = tuple(
    name for name, entry in METHODS.items() if entry.question is PairwiseQuestion
)
"""The methods that ask which of two documents is more relevant."""


def method(name: str) -> Method:
    """Looks up a method by name, or joins stages, as in ``heapsort,allpair@20``.

    The number after the @ is how many of the best documents of the stage before a stage reranks.

    Raises:
        UnknownNameError: no method has this name.
        InputError: a depth is not a number from 1, a stage does not rerank fewer documents than the
            stage before, or the stages ask different kinds of questions.
    """
    stages = []
    for stage, depth in split_stages(name):
        if stage not in METHODS:
            raise UnknownNameError("method", stage, METHODS)
        stages.append((METHODS[stage], depth))
    if len(stages) == 1 and stages[0][1] is None:
        return stages[0][0]
    if len({entry.question for entry, _ in stages}) > 1:
        raise InputError(f"`method` {name}: all stages must ask the same kind of question")
    return join_stages(stages)
