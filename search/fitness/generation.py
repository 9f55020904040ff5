"""Tasks in which the model writes the answer: math (its last number counts) and short answers."""

from collections.abc import Sequence

from rankprompt.llm.base import Answer
from rankprompt.prompts.template import Template
from rankprompt.search.config import SearchConfig
from rankprompt.search.fitness.base import Measures, digest
from rankprompt.search.fitness.examples import ExampleProblem
from rankprompt.search.fitness.metrics import load_metric
from rankprompt.search.splits import Example
from rankprompt.search.task_types import ExampleTask

__all__ = ["GenerationProblem"]


class GenerationProblem(ExampleProblem):
    """Scores prompts by what the model writes, up to the separator of examples.

    The measures are the task's metric and, of a generation, the built-in ones beside it. Where the
    metric is the user's, ``about`` holds a digest of its source.
    """

    def __init__(self, task: ExampleTask, config: SearchConfig) -> None:
        super().__init__(task, config)
        others = ("token-f1", "exact-match") if task.kind == "generation" else ()
        self._metrics = {name: load_metric(name) for name in dict.fromkeys((task.metric, *others))}
        if source := self._metrics[task.metric].source:
            self.about = {**self.about, "metric": digest([source])}

    def _measure(self, item: Example, answers: Sequence[Answer]) -> Measures:
        (answer,) = answers
        written = answer.text.lstrip().split(self._task.separator.rstrip(" "))[0]
        return {name: metric.score(written, item.label) for name, metric in self._metrics.items()}

    def comparison(self, seed: Template, winner: Template) -> None:
        """No test: most metrics have no wins and losses."""
