"""Tasks in which the model writes: math (the last number counts) and short answers."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from rankprompt.files.toml import format_toml
from rankprompt.journal.cached_model import CachedModel
from rankprompt.search.fitness import Measures
from rankprompt.search.fitness.examples import (
    about,
    digest,
    labels,
    make_request,
    part,
    seed_segments,
)
from rankprompt.search.fitness.metrics import load_metric
from rankprompt.search.genome import Segment
from rankprompt.search.splits import Example, split_examples
from rankprompt.search.tasks import METRICS, ExampleTask

__all__ = ["GenerationProblem"]


class GenerationProblem:
    """Scores prompts by what the model writes, up to the separator of examples.

    Args:
        task: of kind math or generation.
        model: the model behind its journal, without a budget.
        seed: draws the demonstrations and the search split.

    Attributes:
        splits: the examples.
        labels: how many labels each split uses.
        about: the examples by content, as JSON takes it.
    """

    def __init__(self, task: ExampleTask, model: CachedModel, seed: int) -> None:
        self.splits = split_examples(task, seed)
        self.labels: Mapping[str, int] = labels(self.splits)
        self._task, self._model = task, model
        others = [name for name in METRICS[task.kind] if name not in (task.metric, "rouge-l")]
        self._metrics = {name: load_metric(name) for name in (task.metric, *others)}
        self.about: Mapping[str, object] = about(self.splits)
        if source := self._metrics[task.metric].source:
            self.about = {**self.about, "metric": digest([source])}

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The seed prompt."""
        return seed_segments(self._task, self.splits.demonstrations)

    def __call__(self, prompts: Sequence[str], /, *, share: float = 1.0) -> list[float]:
        """The task's metric on the search split, or on a share of it."""
        examples = self.splits.search
        # There are no kinds of examples here: the first ones are as good as any.
        asked = part(examples, [None] * len(examples), share)
        return [one[self._task.metric] for one in self._measures(prompts, asked)]

    def measures(self, prompts: Sequence[str], split: str) -> list[Measures]:
        """The metrics on a split, by prompt; the task's own first."""
        return self._measures(prompts, getattr(self.splits, split))

    def _measures(self, prompts: Sequence[str], examples: Sequence[Example]) -> list[Measures]:
        task = self._task
        requests = [
            make_request(prompt, one, max_tokens=task.max_tokens, chat=task.chat)
            for prompt in prompts
            for one in examples
        ]
        answers = [reply.answer for reply in self._model.answer(requests)]
        written = [
            answer.text.lstrip().split(task.separator.rstrip(" "))[0]
            for answer in answers
            if answer
        ]
        found: list[Measures] = []
        for place in range(len(prompts)):
            texts = written[place * len(examples) : (place + 1) * len(examples)]
            pairs = [(text, one.label) for text, one in zip(texts, examples, strict=True)]
            found.append(
                {
                    name: fmean(metric.score(*pair) for pair in pairs)
                    for name, metric in self._metrics.items()
                }
            )
        return found

    def comparison(self, seed: str, winner: str) -> Mapping[str, object] | None:
        """No test: most metrics know no win or loss."""

    def file(self, prompt: str) -> str:
        """A TOML file with the prompt and how much may be written."""
        return format_toml(
            {
                "kind": self._task.kind,
                "text": prompt,
                "max_tokens": self._task.max_tokens,
                "chat": self._task.chat,
            }
        )
