"""Labels of passages that are shown together: how they are written, and found in a reply."""

import re
from collections.abc import Sequence
from string import ascii_uppercase
from unicodedata import normalize

from rankprompt.errors import InputError
from rankprompt.judges.adapters.base import fill
from rankprompt.llm.base import Request
from rankprompt.prompts.prompt import Prompt

__all__ = ["MOST", "LabelledPassages", "find_labels"]

MOST = {"letters": len(ascii_uppercase), "numbers": 100}
"""The most passages that can be labelled."""

_MARKS = "*_`'\"()[]{}.,:;!?"


class LabelledPassages:
    """The base of adapters that show several passages, each under a label."""

    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt

    def _request(self, query: str, passages: Sequence[str], max_tokens: int) -> Request:
        """One request: to choose among the labels, or with ``max_tokens`` to write them."""
        prompt, number = self._prompt, len(passages)
        if number > MOST[prompt.labels]:
            raise InputError(
                f"{number} passages at a time are more than the {MOST[prompt.labels]} "
                f"{prompt.labels} of prompt {prompt.name}: give a smaller `set_size`"
            )
        labels = [_label(prompt, place) for place in range(number)]
        shown = zip(labels, passages, strict=True)
        text = "\n\n".join(prompt.passage.fill(label=one, passage=each) for one, each in shown)
        slots = {"query": query, "passages": text, "number": str(number)}
        options = () if max_tokens else tuple(prompt.answer.fill(label=one) for one in labels)
        return fill(prompt, slots, options=options, max_tokens=max_tokens)


def find_labels(prompt: Prompt, text: str) -> list[int]:
    """The indices of the labels that a text names, in its order; some may not have been shown.

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
