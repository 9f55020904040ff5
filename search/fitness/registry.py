"""The kinds of task: for each, the class of its task, its problem and its metrics."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from rankprompt.search.config import SearchConfig
from rankprompt.search.fitness.base import Problem
from rankprompt.search.fitness.choice import ChoiceProblem
from rankprompt.search.fitness.generation import GenerationProblem
from rankprompt.search.fitness.ranking import RankingProblem
from rankprompt.search.task_types import ExampleTask, RankingTask, Task

__all__ = ["TASK_KINDS", "TaskKind", "make_problem"]


class TaskKind(NamedTuple):
    """A kind of task; a search maximises one of the ``metrics``, by default the first."""

    task: type[Task]
    problem: Callable[[Any, SearchConfig], Problem]
    metrics: tuple[str, ...]
    allows_own_metric: bool = False


TASK_KINDS: Mapping[str, TaskKind] = {
    "classification": TaskKind(ExampleTask, ChoiceProblem, ("reward", "accuracy")),
    "choice": TaskKind(ExampleTask, ChoiceProblem, ("reward", "accuracy")),
    "math": TaskKind(ExampleTask, GenerationProblem, ("exact-number",)),
    "generation": TaskKind(
        ExampleTask, GenerationProblem, ("token-f1", "exact-match", "rouge-l"), True
    ),
    "ranking": TaskKind(RankingTask, RankingProblem, ("reward", "accuracy")),
}


def make_problem(task: Task, config: SearchConfig) -> Problem:
    """Reads a task's data and makes its problem.

    Args:
        task: the task.
        config: its seed draws the demonstrations and the search split, and it holds the constants
            of the reward.

    Raises:
        InputError: the data cannot be read, are too few, or overlap.
    """
    return TASK_KINDS[task.kind].problem(task, config)
