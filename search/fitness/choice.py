"""Classification and multiple choice: which verbaliser is the likeliest?"""

from collections.abc import Mapping, Sequence
from statistics import fmean

from rankprompt.files.toml import format_toml
from rankprompt.journal.cached_model import CachedModel
from rankprompt.llm.base import Request
from rankprompt.search.config import SearchSettings
from rankprompt.search.fitness import Measures
from rankprompt.search.fitness.examples import (
    about,
    labels,
    make_request,
    part,
    seed_segments,
    split_answer,
)
from rankprompt.search.fitness.rewards import piecewise, probabilities
from rankprompt.search.genome import Segment
from rankprompt.search.splits import Example, split_examples
from rankprompt.search.tasks import ExampleTask

__all__ = ["ChoiceProblem"]


class ChoiceProblem:
    """Scores prompts by the probabilities of the verbalisers, normalised over these.

    All prompts and examples are asked in one chunk. ``reward`` is the mean of the piecewise
    reward, ``accuracy`` the share of examples whose right verbaliser is the likeliest (a tie is
    wrong). A prompt with an answer that is not a number is infeasible: NaN.

    Args:
        task: of kind classification or choice.
        model: the model behind its journal, without a budget.
        settings: holds the constants of the reward.
        seed: draws the demonstrations and the search split.

    Attributes:
        splits: the examples.
        labels: how many labels each split uses.
        about: the examples by content, as JSON takes it.
    """

    def __init__(
        self, task: ExampleTask, model: CachedModel, settings: SearchSettings, seed: int
    ) -> None:
        self.splits = split_examples(task, seed)
        self.labels: Mapping[str, int] = labels(self.splits)
        self.about = about(self.splits)
        self._task, self._model = task, model
        self._gains = settings.gain_right, settings.gain_wrong
        _, blank = split_answer(task.template)
        self.options = tuple(blank + text for text in task.verbalisers.values())
        self._check_tokens(task)
        self._right: dict[tuple[str, str], list[bool]] = {}
        self._places = {label: place for place, label in enumerate(task.verbalisers)}

    def _check_tokens(self, task: ExampleTask) -> None:
        """Refuses verbalisers that this model cannot tell apart, before anything is written."""
        question, _ = split_answer(task.template)
        prompt = question.fill(**self.splits.search[0].values)
        self._model.model.length(Request(prompt, self.options, 0, task.chat))

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The seed prompt."""
        return seed_segments(self._task, self.splits.demonstrations)

    def __call__(self, prompts: Sequence[str], /, *, share: float = 1.0) -> list[float]:
        """The task's metric on the search split, or on a share of it."""
        examples = self.splits.search
        asked = part(examples, [one.label for one in examples], share)
        found = [self._measures(rewards) for rewards in self._rewards(prompts, asked)]
        return [one[self._task.metric] for one in found]

    def measures(self, prompts: Sequence[str], split: str) -> list[Measures]:
        """Accuracy and reward on a split, by prompt."""
        found = self._rewards(prompts, getattr(self.splits, split))
        for prompt, rewards in zip(prompts, found, strict=True):
            self._right[prompt, split] = [reward > 0 for reward in rewards]
        return [self._measures(rewards) for rewards in found]

    @staticmethod
    def _measures(rewards: Sequence[float]) -> Measures:
        # The reward's sign tells right from wrong.
        return {"accuracy": fmean(one > 0 for one in rewards), "reward": fmean(rewards)}

    def _rewards(self, prompts: Sequence[str], examples: Sequence[Example]) -> list[list[float]]:
        """Of each prompt, the reward on each example."""
        requests = [
            make_request(prompt, one, options=self.options, chat=self._task.chat)
            for prompt in prompts
            for one in examples
        ]
        answers = [reply.answer for reply in self._model.answer(requests)]
        found = []
        for place in range(len(prompts)):
            rewards = []
            for one, answer in zip(examples, answers[place * len(examples) :], strict=False):
                assert answer is not None  # there is no budget
                shares = probabilities(answer.loglikelihoods)
                rewards.append(piecewise(shares, self._places[one.label], *self._gains))
            found.append(rewards)
        return found

    def comparison(self, seed: str, winner: str) -> Mapping[str, object] | None:
        """McNemar's exact test over the test split's examples, two-sided."""
        from scipy.stats import binomtest

        before, after = (self._right[prompt, "test"] for prompt in (seed, winner))
        wins = sum(one > other for one, other in zip(after, before, strict=True))
        losses = sum(one < other for one, other in zip(after, before, strict=True))
        p = float(binomtest(wins, wins + losses).pvalue) if wins + losses else None
        return {"measure": "accuracy", "wins": wins, "losses": losses, "mcnemar": p}

    def file(self, prompt: str) -> str:
        """A TOML file with the prompt, the options in the order of the labels, and the labels."""
        return format_toml(
            {
                "kind": self._task.kind,
                "text": prompt,
                "options": list(self.options),
                "labels": list(self._task.verbalisers),
                "chat": self._task.chat,
            }
        )
