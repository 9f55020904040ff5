"""What a prompt is worth, by kind of task."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from rankprompt.journal.cached_model import CachedModel
from rankprompt.search.config import SearchSettings
from rankprompt.search.genome import Segment
from rankprompt.search.tasks import ExampleTask, RankingTask, Task

__all__ = ["SPLITS", "Measures", "Problem", "make_problem"]

SPLITS = ("search", "calibration", "test")

Measures = Mapping[str, float]
"""Values by name, higher is better; the first is what calibration goes by."""


class Problem(Protocol):
    """A task with its data and the model that is asked.

    Attributes:
        labels: how many labels each split uses, the demonstrations' among them.
        about: what tells this data from other data, as JSON takes it.
    """

    labels: Mapping[str, int]
    about: Mapping[str, object]

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The seed prompt."""

    def __call__(self, prompts: Sequence[str], /, *, share: float = 1.0) -> list[float]:
        """The fitness on the search split, or on a share of it (``PartialFitness``)."""

    def measures(self, prompts: Sequence[str], split: str) -> list[Measures]:
        """What prompts are worth on a split, in the same order."""

    def comparison(self, seed: str, winner: str, /) -> Mapping[str, object] | None:
        """A paired test of two prompts that were scored on the test split, where there is one."""

    def file(self, prompt: str) -> str:
        """The text of a TOML file that holds a prompt."""


def make_problem(task: Task, model: CachedModel, settings: SearchSettings, seed: int) -> Problem:
    """Reads a task's data.

    Args:
        task: what the prompt is for.
        model: the model behind its journal.
        settings: holds the constants of the reward.
        seed: draws the demonstrations and the search split.

    Raises:
        InputError: the data cannot be read, hold too little, or overlap.
    """
    if isinstance(task, RankingTask):
        from rankprompt.search.fitness.ranking import RankingProblem

        return RankingProblem(task, model, settings, seed)
    assert isinstance(task, ExampleTask)
    if task.kind in ("classification", "choice"):
        from rankprompt.search.fitness.choice import ChoiceProblem

        return ChoiceProblem(task, model, settings, seed)
    from rankprompt.search.fitness.generation import GenerationProblem

    return GenerationProblem(task, model, seed)
