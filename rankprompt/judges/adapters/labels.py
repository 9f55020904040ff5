"""Labels of passages that are shown together: how they are written, and parsed from a reply."""

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
"""By kind of label: the most passages that can be labelled."""

# Punctuation that may surround a label.
_MARKS = "*_`'\"()[]{}.,:;!?"


class LabelledPassages:
    """The base of adapters that show several passages, each under a label."""

    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt

    def _request(self, query: str, passages: Sequence[str], max_tokens: int) -> Request:
        """A request to choose among the labels, or to write them where ``max_tokens`` is above 0.

        Raises:
            InputError: there are more passages than labels.
        """
        prompt, number = self._prompt, len(passages)
        if number > MOST[prompt.labels]:
            raise InputError(
                f"{number} passages at a time are more than the {MOST[prompt.labels]} "
                f"{prompt.labels} of `prompt` {prompt.name}: give a smaller `set_size`"
            )
        labels = [_label(prompt, index) for index in range(number)]
        labelled = [
            prompt.passage.fill(label=label, passage=passage)
            for label, passage in zip(labels, passages, strict=True)
        ]
        slots = {"query": query, "passages": "\n\n".join(labelled), "number": str(number)}
        options = () if max_tokens else tuple(prompt.answer.fill(label=label) for label in labels)
        return fill(prompt, slots, options=options, max_tokens=max_tokens)


def find_labels(prompt: Prompt, text: str) -> list[int]:
    """Finds the labels in a text, in the text's order.

    A label counts where it is written as the prompt's ``answer`` defines it ("[A]", "Passage A").
    Where no label is, bare labels count if they are most of the text's words, or its second word of
    two: "B > A" and "Document B" are read, but not the "A" and "I" of a sentence.

    Returns:
        The labels' indices, which may be of passages that were not shown.
    """
    # Chinese models may write full-width letters.
    text = normalize("NFKC", text)
    label = "[A-Z]" if prompt.labels == "letters" else r"\d+"
    before, after = (part.strip() for part in prompt.answer.fill(label="\0").split("\0"))
    labels: list[str] = []
    if before or after:
        prefix = r"\s*".join(map(re.escape, before.split()))
        pattern = rf"(?i:{prefix})\s*({label})(?!\w)\s*{re.escape(after)}"
        labels = re.findall(rf"(?<!\w){pattern}" if before[:1].isalnum() else pattern, text)
    if not labels:
        stripped = [word.strip(_MARKS) for word in re.split(r"[\s>,;=]+", text)]
        words = [word for word in stripped if word]
        labels = [word for word in words if re.fullmatch(label, word)]
        if 2 * len(labels) <= len(words) and labels != words[1:2]:
            return []
    return [_index(prompt, label) for label in labels]


def _label(prompt: Prompt, index: int) -> str:
    return ascii_uppercase[index] if prompt.labels == "letters" else str(index + 1)


def _index(prompt: Prompt, label: str) -> int:
    if prompt.labels == "letters":
        return ascii_uppercase.index(label)
    # The label 0 is invented: it gets an index beyond all passages.
    return int(label[:9]) - 1 if int(label[:9]) else MOST["numbers"]
