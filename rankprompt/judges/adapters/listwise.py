"""Adapters of listwise questions: what is the order of several passages by relevance?"""

from collections import Counter
from collections.abc import Sequence

from rankprompt.judges.adapters.base import ParsedAnswer, softmax
from rankprompt.judges.adapters.labels import LabelledPassages, find_labels
from rankprompt.llm.base import Answer, Request
from rankprompt.types import Permutation

__all__ = ["LikeliestLabelsFirst", "WrittenPermutation"]


class LikeliestLabelsFirst(LabelledPassages):
    """The labels by how likely each is to be written first (FIRST, arXiv 2406.15657)."""

    def requests(self, query: str, passages: Sequence[str]) -> list[Request]:
        """One request, whose options are the labels."""
        return [self._request(query, passages, 0)]

    def parse(self, answers: Sequence[Answer], number: int) -> ParsedAnswer[Permutation]:
        """The likeliest label first; labels alike keep the order shown."""
        shares = softmax(answers[0].loglikelihoods)
        if shares is None:
            return ParsedAnswer(None)
        scores = answers[0].loglikelihoods
        return ParsedAnswer(tuple(sorted(range(number), key=lambda place: -scores[place])))

    def fallback(self, number: int) -> Permutation:
        """As they were shown."""
        return tuple(range(number))


class WrittenPermutation(LikeliestLabelsFirst):
    """The order that the model writes (RankGPT, arXiv 2304.09542), repaired so that none is lost.

    Of a label that is doubled the first counts; one that is not there is left out; what is missing
    follows in the order shown. An answer without any label of those shown is unreadable.
    """

    def requests(self, query: str, passages: Sequence[str]) -> list[Request]:
        """One request, to write a permutation."""
        return [self._request(query, passages, self._prompt.max_tokens * len(passages))]

    def parse(self, answers: Sequence[Answer], number: int) -> ParsedAnswer[Permutation]:
        """The permutation, and what was repaired in it."""
        places = find_labels(self._prompt, answers[0].text)
        known = [place for place in places if place < number]
        order = list(dict.fromkeys(known))
        missing = [place for place in range(number) if place not in order]
        repairs = Counter(
            missing=len(missing),
            doubled=len(known) - len(order),
            invented=len(places) - len(known),
        )
        return ParsedAnswer((*order, *missing), repairs) if order else ParsedAnswer(None)
