"""The table of ranking methods by name. A new ranker is a new file and a line here."""

from importlib import import_module

from rankprompt.errors import InputError, UnknownNameError
from rankprompt.rankers.base import Method
from rankprompt.rankers.stages import join_stages, split_stages
from rankprompt.types import PairwiseQuestion

__all__ = ["METHODS", "PAIRWISE", "method"]

# The file of each method in this folder; each has a METHOD.
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
    """Looks a method up by name, or joins stages, as in ``heapsort,allpair@20``.

    There, each stage reranks as many of the best documents of the stage before as follow the @.

    Raises:
        UnknownNameError: no method has this name.
        InputError: stages that do not narrow, or ask different kinds of questions.
    """
    parts = []
    for part, depth in split_stages(name):
        if part not in METHODS:
            raise UnknownNameError("method", part, METHODS)
        parts.append((METHODS[part], depth))
    if len(parts) == 1 and parts[0][1] is None:
        return parts[0][0]
    if len({entry.question for entry, _ in parts}) > 1:
        raise InputError(f"`method` {name}: all stages must ask the same kind of question")
    return join_stages(parts)
