"""Adapters of setwise questions: which of several passages is the most relevant?"""

from collections.abc import Sequence

from rankprompt.judges.adapters.base import ParsedAnswer, softmax
from rankprompt.judges.adapters.labels import LabelledPassages, find_labels
from rankprompt.llm.base import Answer, Request
from rankprompt.types import SelectionProbabilities

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
        return (1 / number,) * number


class SelectedLabel(Selected):
    """Parses the label that the model writes; readable if it is a single label of those shown."""

    def requests(self, query: str, passages: Sequence[str]) -> list[Request]:
        """A request to write a label."""
        return [self._request(query, passages, self._prompt.max_tokens)]

    def parse(self, answers: Sequence[Answer], number: int) -> ParsedAnswer[SelectionProbabilities]:
        """Probability 1 for the label that the model names."""
        labels = set(find_labels(self._prompt, answers[0].text))
        if len(labels) != 1 or (selected := labels.pop()) >= number:
            return ParsedAnswer(None)
        return ParsedAnswer(tuple(float(index == selected) for index in range(number)))
