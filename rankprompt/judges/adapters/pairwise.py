"""Adapters of pairwise questions: how an ordered pair is put, and how the replies are parsed."""

import math
import re
from collections.abc import Sequence
from unicodedata import normalize

from rankprompt.judges.adapters.base import PairwiseAdapter, ParsedAnswer, fill
from rankprompt.llm.base import Answer, Request
from rankprompt.prompts.prompt import Prompt

__all__ = ["Choice", "Contrast", "Generation", "Likelihood", "pairwise_adapter"]


class Choice:
    """Scoring mode: which of two options is the likelier answer (arXiv 2306.17563, section 3.1)?"""

    ordered, passages = True, 2

    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt

    def requests(self, query: str, passages: Sequence[str]) -> list[Request]:
        """One request, whose options stand for first and second."""
        slots = {"query": query, "first": passages[0], "second": passages[1]}
        return [fill(self._prompt, slots, options=self._prompt.options)]

    def parse(self, answers: Sequence[Answer], _: int) -> ParsedAnswer[float]:
        """The first option's share of the two options' probability; None where it is NaN."""
        first, second = answers[0].loglikelihoods
        return ParsedAnswer(_sigmoid(first - second))


class Generation:
    """Generation mode: the model writes its choice, and the text is read.

    An answer is readable where it names exactly one of the options, or is nothing but what tells
    the options apart ("A" for "Passage A"). Anything else, both named, neither, an empty answer, is
    unreadable: never a guess.
    """

    ordered, passages = True, 2

    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt
        words = [option.split() for option in prompt.options]
        same = 0
        while all(same < len(one) - 1 for one in words) and words[0][same] == words[1][same]:
            same += 1
        self._bare = [" ".join(one[same:]) for one in words]
        full = [rf"(?<!{_LETTER})" + r"\s*".join(_words(one)) for one in words]
        rest = [
            rf"(?!{_LETTER}){_AND}(?<!{_LETTER})" + r"\s*".join(_words(one[same:])) for one in words
        ]
        self._named = [
            re.compile(f"(?:{full[i]}|{full[1 - i]}{rest[i]})(?!{_LETTER})") for i in (0, 1)
        ]

    def requests(self, query: str, passages: Sequence[str]) -> list[Request]:
        """One request, to write an answer."""
        slots = {"query": query, "first": passages[0], "second": passages[1]}
        return [fill(self._prompt, slots, max_tokens=self._prompt.max_tokens)]

    def parse(self, answers: Sequence[Answer], _: int) -> ParsedAnswer[float]:
        """1 or 0 for the option that was named, None where it cannot be read."""
        # Chinese models may write full-width letters.
        text = normalize("NFKC", answers[0].text)
        named = [bool(pattern.search(text)) for pattern in self._named]
        if not any(named):
            bare = text.strip().strip("*_`'\"()[].:,!").strip()
            named = [bare == one for one in self._bare]
        return ParsedAnswer(float(named[0]) if sum(named) == 1 else None)


# A letter that goes on a word; Chinese and Japanese put no spaces between theirs.
_LETTER = r"[^\W\u3040-\u30ff\u3400-\u9fff]"
# "Passage A or B" names both; one word may stand between.
_AND = r"[^\w.!?。]*\w*?[^\w.!?。]*"


def _words(option: list[str]) -> list[str]:
    # A single letter keeps its case: "a" is an article.
    return [re.escape(word) if len(word) == 1 else f"(?i:{re.escape(word)})" for word in option]


class Contrast:
    """Both passages in view: how much likelier is the query under the one's label?"""

    ordered, passages = True, 2

    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt

    def requests(self, query: str, passages: Sequence[str]) -> list[Request]:
        """One request a label."""
        slots = {"query": query, "first": passages[0], "second": passages[1]}
        target = (self._prompt.target.fill(query=query),)
        return [
            fill(self._prompt, {**slots, "label": label}, options=target)
            for label in self._prompt.options
        ]

    def parse(self, answers: Sequence[Answer], _: int) -> ParsedAnswer[float]:
        """The logistic of the difference in mean log-likelihood a token of the query."""
        return ParsedAnswer(_sigmoid(_mean(answers[0]) - _mean(answers[1])))


class Likelihood(Contrast):
    """One passage at a time: how much likelier is the query after the one than after the other?

    Consistent and order-free by construction, and asks one prompt a document, not one a pair.
    """

    ordered, passages = False, 1

    def requests(self, query: str, passages: Sequence[str]) -> list[Request]:
        """One request a passage."""
        target = (self._prompt.target.fill(query=query),)
        return [
            fill(self._prompt, {"query": query, "passage": passage}, options=target)
            for passage in passages
        ]


def pairwise_adapter(prompt: Prompt, mode: str) -> PairwiseAdapter:
    """The adapter of a prompt; ``mode`` is "scoring" or, for choices only, "generation"."""
    if prompt.kind == "choice":
        return Generation(prompt) if mode == "generation" else Choice(prompt)
    return Contrast(prompt) if prompt.kind == "contrast" else Likelihood(prompt)


def _mean(answer: Answer) -> float:
    return answer.loglikelihoods[0] / answer.tokens[0]


def _sigmoid(x: float) -> float | None:
    if math.isnan(x):  # a broken answer, or two impossible ones: no preference can be read in it
        return None
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))
