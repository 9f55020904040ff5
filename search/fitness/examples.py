"""The base of problems with labelled examples: the seed prompt, the splits and the requests."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from statistics import fmean

from rankprompt.journal.cached_model import CachedModel
from rankprompt.llm.base import Answer, LanguageModel, Request
from rankprompt.prompts.prompt import Template
from rankprompt.search.config import SearchConfig
from rankprompt.search.fitness.base import Measures, digest, shared_prefix, take_share
from rankprompt.search.genome import Segment, segment
from rankprompt.search.splits import Example, split_examples
from rankprompt.search.tasks import ExampleTask

__all__ = ["ExampleProblem"]


class ExampleProblem(ABC):
    """A task with labelled examples.

    The seed is the instruction, the demonstrations, and the task's template up to the answer. The
    demonstrations come first and the input last, so that all requests of a prompt share its start.

    Args:
        task: the task.
        config: its seed draws the demonstrations and the search split.

    Attributes:
        splits: the examples.
        options: the texts that the model chooses between; none where it writes the answer.
        labels: the number of labels that each split uses.
        about: a digest of each split's examples.

    Raises:
        InputError: the data cannot be read, are too few, or overlap.
    """

    def __init__(self, task: ExampleTask, config: SearchConfig) -> None:
        self._task, self._config = task, config
        self.splits = split_examples(task, config.seed)
        splits = self.splits._asdict().items()
        self.labels: Mapping[str, int] = {name: len(examples) for name, examples in splits}
        self.about: Mapping[str, object] = {
            name: digest([f"{one.label} {list(one.values.items())}" for one in examples])
            for name, examples in splits
        }
        # A model's tokens include the white space before them, so that belongs to the answer.
        *parts, cue, _, _ = task.template.parts
        self._question = Template((*parts, cue.rstrip()))
        space = cue[len(cue.rstrip()) :]
        self.options = tuple(space + text for text in task.verbalisers.values())
        self._tested: dict[Template, list[Measures]] = {}

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The seed prompt."""
        task = self._task
        shown = [task.template.fill(**one.values).rstrip() for one in self.splits.demonstrations]
        before = "".join(f"{text}{task.separator}" for text in (task.instruction, *shown) if text)
        first, *rest = self._question.parts
        return segment(Template((before + first, *rest)), task.frozen)

    def check_model(self, model: LanguageModel) -> None:
        """Makes sure that a model can tell the options apart.

        Raises:
            ModelError: two options are the same tokens.
        """
        model.length(self._request(self._question, self.splits.search[0]))

    def fitness(
        self, model: CachedModel, prompts: Sequence[Template], *, share: float = 1.0
    ) -> list[float]:
        """The task's metric on the search split, or on a share of it."""
        examples = self.splits.search
        # Where the answer is written there are no classes, and the first examples are taken.
        strata = [one.label if self.options else "" for one in examples]
        scored = self._evaluate(model, prompts, take_share(examples, strata, share))
        return [fmean(one[self._task.metric] for one in by_example) for by_example in scored]

    def measures(
        self, model: CachedModel, prompts: Sequence[Template], split: str
    ) -> list[Measures]:
        """Gives the measures of prompts on a split, in the same order."""
        scored = self._evaluate(model, prompts, getattr(self.splits, split))
        if split == "test":
            self._tested |= zip(prompts, scored, strict=True)
        return [
            {name: fmean(one[name] for one in by_example) for name in by_example[0]}
            for by_example in scored
        ]

    def _evaluate(
        self, model: CachedModel, prompts: Sequence[Template], examples: Sequence[Example]
    ) -> list[list[Measures]]:
        """Gives the measures by prompt, then by example; all requests are one chunk."""
        requests = [self._request(prompt, one) for prompt in prompts for one in examples]
        # Without a budget, every request is answered.
        answers = iter([reply.answer for reply in model.answer(requests) if reply.answer])
        return [[self._score(one, next(answers)) for one in examples] for _ in prompts]

    @abstractmethod
    def _score(self, example: Example, answer: Answer) -> Measures:
        """Gives the measures of the model's answer to one example."""

    def _request(self, prompt: Template, example: Example) -> Request:
        task = self._task
        max_tokens = 0 if self.options else task.max_tokens
        breaks = (shared_prefix(prompt),)
        return Request(prompt.fill(**example.values), self.options, max_tokens, task.chat, breaks)
