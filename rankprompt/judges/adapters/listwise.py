"""Readings of several passages, each under a label: the best of them, or their order."""

import re
from collections import Counter
from collections.abc import Sequence
from string import ascii_uppercase
from unicodedata import normalize

from rankprompt.errors import InputError
from rankprompt.judges.adapters.base import Heard, softmax
from rankprompt.judges.adapters.pairwise import fill
from rankprompt.llm.base import Answer, Request
from rankprompt.prompts.prompt import Prompt
from rankprompt.types import Order, Shares

__all__ = ["MOST", "LikeliestFirst", "Permutation", "Selected", "SelectedLabel", "named"]

MOST = {"letters": len(ascii_uppercase), "numbers": 100}
"""How many passages can be labelled."""

_MARKS = "*_`'\"()[]{}.,:;!?"


class _Labelled:
    """Shows passages under labels; ``answers`` are what the model may write for each."""

    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt

    def _request(self, query: str, texts: Sequence[str], max_tokens: int) -> Request:
        """One request: to choose among the labels, or with ``max_tokens`` to write them."""
        prompt, number = self._prompt, len(texts)
        if number > MOST[prompt.labels]:
            raise InputError(
                f"{number} passages at a time are more than the {MOST[prompt.labels]} "
                f"{prompt.labels} of --prompt {prompt.name}: give a smaller --set-size"
            )
        labels = [_label(prompt, place) for place in range(number)]
        shown = zip(labels, texts, strict=True)
        passages = "\n\n".join(prompt.passage.fill(label=one, passage=text) for one, text in shown)
        slots = {"query": query, "passages": passages, "number": str(number)}
        options = () if max_tokens else tuple(prompt.answer.fill(label=one) for one in labels)
        return fill(prompt, slots, options=options, max_tokens=max_tokens)


class Selected(_Labelled):
    """Which passage's label is the likeliest answer (setwise, arXiv 2310.09497, section 3)?"""

    def requests(self, query: str, texts: Sequence[str]) -> list[Request]:
        """One request, whose options are the labels."""
        return [self._request(query, texts, 0)]

    def read(self, answers: Sequence[Answer], _: int) -> Heard:
        """Each label's share of the probability."""
        return Heard(softmax(answers[0].loglikelihoods))

    def unknown(self, number: int) -> Shares:
        """All alike."""
        return (1 / number,) * number


class SelectedLabel(Selected):
    """Which label does the model write? Readable where it names exactly one of those shown."""

    def requests(self, query: str, texts: Sequence[str]) -> list[Request]:
        """One request, to write an answer."""
        return [self._request(query, texts, self._prompt.max_tokens)]

    def read(self, answers: Sequence[Answer], number: int) -> Heard:
        """All of the probability for the label that was named."""
        places = set(named(self._prompt, answers[0].text))
        if len(places) != 1 or (place := places.pop()) >= number:
            return Heard(None)
        return Heard(tuple(float(one == place) for one in range(number)))


class LikeliestFirst(_Labelled):
    """The labels by how likely each is to be written first (FIRST, arXiv 2406.15657)."""

    def requests(self, query: str, texts: Sequence[str]) -> list[Request]:
        """One request, whose options are the labels."""
        return [self._request(query, texts, 0)]

    def read(self, answers: Sequence[Answer], number: int) -> Heard:
        """The likeliest label first; labels alike keep the order shown."""
        shares = softmax(answers[0].loglikelihoods)
        if shares is None:
            return Heard(None)
        scores = answers[0].loglikelihoods
        return Heard(tuple(sorted(range(number), key=lambda place: -scores[place])))

    def unknown(self, number: int) -> Order:
        """As they were shown."""
        return tuple(range(number))


class Permutation(LikeliestFirst):
    """The order that the model writes (RankGPT, arXiv 2304.09542), repaired so that none is lost.

    Of a label that is doubled the first counts; one that is not there is left out; what is missing
    follows in the order shown. An answer without any label of those shown is unreadable.
    """

    def requests(self, query: str, texts: Sequence[str]) -> list[Request]:
        """One request, to write a permutation."""
        return [self._request(query, texts, self._prompt.max_tokens * len(texts))]

    def read(self, answers: Sequence[Answer], number: int) -> Heard:
        """The permutation, and what was repaired in it."""
        places = named(self._prompt, answers[0].text)
        known = [place for place in places if place < number]
        order = list(dict.fromkeys(known))
        missing = [place for place in range(number) if place not in order]
        repairs = Counter(
            missing=len(missing),
            doubled=len(known) - len(order),
            invented=len(places) - len(known),
        )
        return Heard((*order, *missing), repairs) if order else Heard(None)


def named(prompt: Prompt, text: str) -> list[int]:
    """The places of the labels that a text names, in its order; they may be none of those shown.

    A label counts where it is written as the prompt's ``answer`` has it ("[A]", "Passage A"). Where
    none is, bare labels count if they are most of the text's words, or the second of two: "B > A"
    and "Document B", but not the "A" and "I" of a sentence.
    """
    # Chinese models may write full-width letters.
    text = normalize("NFKC", text)
    label = "[A-Z]" if prompt.labels == "letters" else r"\d+"
    before, after = (part.strip() for part in prompt.answer.fill(label="\0").split("\0"))
    found: list[str] = []
    if before or after:
        words = r"\s*".join(map(re.escape, before.split()))
        form = rf"(?i:{words})\s*({label})(?!\w)\s*{re.escape(after)}"
        found = re.findall(form if not before[:1].isalnum() else rf"(?<!\w){form}", text)
    if not found:
        bare = [one.strip(_MARKS) for one in re.split(r"[\s>,;=]+", text) if one.strip(_MARKS)]
        found = [one for one in bare if re.fullmatch(label, one)]
        if 2 * len(found) <= len(bare) and found != bare[1:2]:
            return []
    return [_place(prompt, one) for one in found]


def _label(prompt: Prompt, place: int) -> str:
    return ascii_uppercase[place] if prompt.labels == "letters" else str(place + 1)


def _place(prompt: Prompt, label: str) -> int:
    if prompt.labels == "letters":
        return ascii_uppercase.index(label)
    # There is no passage 0: an invented one.
    return int(label[:9]) - 1 if int(label[:9]) else MOST["numbers"]
