"""Adapters of listwise questions: what is the order of several passages by relevance?"""

from collections import Counter
from collections.abc import Sequence

from rankprompt.judges.adapters.base import ParsedAnswer, softmax
from rankprompt.judges.adapters.labels import LabelledPassages, find_listing
from rankprompt.judges.adapters.verdict import clean
from rankprompt.llm.base import Answer, Request
from rankprompt.types import FallbackPermutation, Permutation

__all__ = ["LikeliestLabelsFirst", "WrittenPermutation"]


class LikeliestLabelsFirst(LabelledPassages):
    """Orders the labels by the likelihood that each is written first (FIRST, arXiv 2406.15657)."""

    def requests(self, query: str, passages: Sequence[str]) -> list[Request]:
        """A request whose options are the labels."""
        return [self._request(query, passages, 0)]

    def parse(self, answers: Sequence[Answer], number: int) -> ParsedAnswer[Permutation]:
        """The most likely label first; equal likelihoods keep the order shown."""
        loglikelihoods = answers[0].loglikelihoods
        if softmax(loglikelihoods) is None:
            return ParsedAnswer(None)
        order = sorted(range(number), key=lambda index: -loglikelihoods[index])
        return ParsedAnswer(tuple(order))

    def fallback(self, number: int) -> Permutation:
        """The order shown."""
        return FallbackPermutation(range(number))


class WrittenPermutation(LikeliestLabelsFirst):
    """The order that the model writes (RankGPT, arXiv 2304.09542), repaired to a permutation.

    The first occurrence of a doubled label counts, labels of passages that were not shown are
    dropped, and missing passages follow in the order shown. An answer without a listing
    (``find_listing``) of any passage shown is unreadable.
    """

    def requests(self, query: str, passages: Sequence[str]) -> list[Request]:
        """A request to write a permutation."""
        return [self._request(query, passages, self._prompt.max_tokens * len(passages))]

    def parse(self, answers: Sequence[Answer], number: int) -> ParsedAnswer[Permutation]:
        """The permutation, with its repairs."""
        labels = find_listing(self._prompt, clean(answers[0]), cut=answers[0].problem == "cut")
        shown = [index for index in labels if index < number]
        order = list(dict.fromkeys(shown))
        missing = [index for index in range(number) if index not in order]
        repairs = Counter(
            missing=len(missing),
            doubled=len(shown) - len(order),
            invented=len(labels) - len(shown),
        )
        return ParsedAnswer((*order, *missing), repairs) if order else ParsedAnswer(None)
