"""Adapters of setwise questions: which of several passages is the most relevant?"""

from collections.abc import Sequence

from rankprompt.judges.adapters.base import ParsedAnswer, softmax
from rankprompt.judges.adapters.labels import LabelledPassages, find_labels
from rankprompt.llm.base import Answer, Request
from rankprompt.types import SelectionProbabilities

__all__ = ["Selected", "SelectedLabel"]


class Selected(LabelledPassages):
    """Which passage's label is the likeliest answer (setwise, arXiv 2310.09497, section 3)?"""

    def requests(self, query: str, passages: Sequence[str]) -> list[Request]:
        """One request, whose options are the labels."""
        return [self._request(query, passages, 0)]

    def parse(self, answers: Sequence[Answer], _: int) -> ParsedAnswer[SelectionProbabilities]:
        """Each label's share of the probability."""
        return ParsedAnswer(softmax(answers[0].loglikelihoods))

    def fallback(self, number: int) -> SelectionProbabilities:
        """All alike."""
        return (1 / number,) * number


class SelectedLabel(Selected):
    """Which label does the model write? Readable where it names exactly one of those shown."""

    def requests(self, query: str, passages: Sequence[str]) -> list[Request]:
        """One request, to write an answer."""
        return [self._request(query, passages, self._prompt.max_tokens)]

    def parse(self, answers: Sequence[Answer], number: int) -> ParsedAnswer[SelectionProbabilities]:
        """All of the probability for the label that was named."""
        places = set(find_labels(self._prompt, answers[0].text))
        if len(places) != 1 or (place := places.pop()) >= number:
            return ParsedAnswer(None)
        return ParsedAnswer(tuple(float(one == place) for one in range(number)))
