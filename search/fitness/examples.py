"""The base of problems with labelled examples: the seed prompt, the splits and the requests."""

from collections.abc import Mapping

from rankprompt.files.toml import format_toml
from rankprompt.llm.base import LanguageModel, Request
from rankprompt.prompts.template import Template
from rankprompt.search.config import SearchConfig
from rankprompt.search.fitness.base import ItemProblem, digest, shared_prefix, take_share
from rankprompt.search.splits import Example, split_examples
from rankprompt.search.task_types import ExampleTask

__all__ = ["ExampleProblem"]


class ExampleProblem(ItemProblem[Example]):
    """A task with labelled examples.

    The seed is the instruction, the demonstrations, and the task's template up to the answer. The
    demonstrations come first and the input last, so that all requests of a prompt share its start.

    Args:
        task: the task.
        config: its seed draws the demonstrations and the search split, and it holds the constants
            of the reward.

    Attributes:
        splits: the examples.
        options: the texts that the model chooses between; none where it writes the answer.

    Raises:
        InputError: the data cannot be read, are too few, or overlap.
    """

    def __init__(self, task: ExampleTask, config: SearchConfig) -> None:
        super().__init__(task.metric, config)
        self._task, self.frozen = task, task.frozen
        self.splits = split_examples(task, config.seed)
        splits = self.splits._asdict().items()
        self.labels: Mapping[str, int] = {name: len(examples) for name, examples in splits}
        self.about: Mapping[str, object] = {
            name: digest(
                [f"{example.label} {list(example.values.items())}" for example in examples]
            )
            for name, examples in splits
        }
        shown = [
            task.template.fill(**example.values).rstrip() for example in self.splits.demonstrations
        ]
        before = "".join(f"{text}{task.separator}" for text in (task.instruction, *shown) if text)
        # A model's tokens include the white space before them, so that belongs to the answer.
        first, *middle, cue = task.template.parts[:-2]
        self.template = Template((before + first, *middle, cue.rstrip()))
        space = cue[len(cue.rstrip()) :]
        self.options = tuple(space + text for text in task.verbalisers.values())

    def format_file(self, prompt: Template) -> str:
        """Writes a TOML file with the prompt and its options by label, or what may be written."""
        task = self._task
        answer: dict[str, object] = {"max_tokens": task.max_tokens}
        if self.options:
            answer = {"options": list(self.options), "labels": list(task.verbalisers)}
        return format_toml({"kind": task.kind, "text": str(prompt), **answer, "chat": task.chat})

    def _items(self, model: LanguageModel, split: str, share: float) -> list[Example]:  # noqa: ARG002
        examples: list[Example] = getattr(self.splits, split)
        # Where the answer is written there are no classes, and the first examples are taken.
        return take_share(
            examples, [example.label if self.options else "" for example in examples], share
        )

    def _requests(self, prompt: Template, item: Example) -> list[Request]:
        task = self._task
        max_tokens = 0 if self.options else task.max_tokens
        breaks = (shared_prefix(prompt),)
        return [Request(prompt.fill(**item.values), self.options, max_tokens, task.chat, breaks)]
