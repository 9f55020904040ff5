"""Adapters of setwise questions: which of several passages is the most relevant?"""

from collections.abc import Sequence

from rankprompt.judges.adapters.base import ParsedAnswer, softmax
from rankprompt.judges.adapters.labels import LabelledPassages, label_spellings
from rankprompt.judges.adapters.verdict import choices_of, clean
from rankprompt.llm.base import Answer, Request
from rankprompt.types import FallbackProbabilities, SelectionProbabilities

__all__ = ["Selected", "SelectedLabel"]


class Selected(LabelledPassages):
    """Reads the likelihoods of the passages' labels (setwise, arXiv 2310.09497, section 3)."""

    def requests(self, query: str, passages: Sequence[str]) -> list[Request]:
        """A request whose options are the labels."""
        return [self._request(query, passages, 0)]

    def parse(self, answers: Sequence[Answer], _: int) -> ParsedAnswer[SelectionProbabilities]:
        """The probability of each label."""
        return ParsedAnswer(softmax(answers[0].loglikelihoods))

    def fallback(self, number: int) -> SelectionProbabilities:
        """Equal probabilities."""
        return FallbackProbabilities([1 / number] * number)


class SelectedLabel(Selected):
    """Parses the label that the model states as its choice; readable if it was shown."""

    def requests(self, query: str, passages: Sequence[str]) -> list[Request]:
        """A request to write a label."""
        return [self._request(query, passages, self._prompt.max_tokens, one=True)]

    def parse(self, answers: Sequence[Answer], number: int) -> ParsedAnswer[SelectionProbabilities]:
        """Probability 1 for the label that the model states."""
        choices = choices_of(label_spellings(self._prompt))
        selected = choices.find(clean(answers[0]), cut=answers[0].problem == "cut")
        if selected is None or selected >= number:
            return ParsedAnswer(None)
        return ParsedAnswer(tuple(float(index == selected) for index in range(number)))
