"""Labels of passages that are shown together: how they are written, and parsed from a reply."""

import re
from collections.abc import Sequence
from string import ascii_uppercase
from typing import NamedTuple

from rankprompt.errors import InputError
from rankprompt.judges.adapters.base import fill
from rankprompt.llm.base import Request
from rankprompt.llm.lead_words import DOUBT, LEAD, MARKUP
from rankprompt.prompts.prompt import Prompt

__all__ = ["MOST", "LabelledPassages", "find_listing", "label_spellings"]

MOST = {"letters": len(ascii_uppercase), "numbers": 100}
"""By kind of label: the most passages that can be labelled."""

# What makes the labels after it no listing, or one in the wrong order.
_WORST_FIRST = re.compile(
    rf"{DOUBT}|\b(?:ascending|worst|less)\b|(?<!to )(?<!to the )\bleast\b", re.I
)
_NOUNS = "passage|document|doc|text|段落|文档"
# What may stand between two labels of a listing; "and" only after a comma.
_SEPARATOR = (
    r"(?:\s|[>≻,;、，=→*_`'\"()\[\]{}|.-]|(?<=,)\s*and\b|(?<=\n)[ \t*_]*\d{1,3}[.):]"
    rf"|(?i:{_NOUNS})(?=\s*[\w\[(]))+?"
)


class LabelledPassages:
    """The base of adapters that show several passages, each under a label."""

    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt

    def _request(
        self, query: str, passages: Sequence[str], max_tokens: int, *, one: bool = False
    ) -> Request:
        """A request to choose among the labels, or to write them where ``max_tokens`` is above 0.

        Args:
            query: the query's text.
            passages: the passages' texts, in the order shown.
            max_tokens: the most tokens to write; 0 to score the labels.
            one: whether a single label is to be written.

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
        answers = tuple(prompt.answer.fill(label=label) for label in labels)
        return fill(
            prompt,
            slots,
            options=() if max_tokens else answers,
            max_tokens=max_tokens,
            choices=tuple(answer.strip() for answer in answers) if one else (),
        )


def label_spellings(prompt: Prompt) -> tuple[tuple[str, ...], ...]:
    """The ways to write each label: as the prompt's ``answer``, after a noun, and bare."""
    return tuple(
        (prompt.answer.fill(label=label).strip(), f"Passage {label}", f"Document {label}", label)
        for label in (_label(prompt, index) for index in range(MOST[prompt.labels]))
    )


def find_listing(prompt: Prompt, text: str, *, cut: bool = False) -> list[int]:
    """Finds the labels of the listing in a cleaned text, in the text's order.

    A listing is a run of labels with nothing but separators between them: "[B] > [A]", "B, A", a
    label a line, or numbered lines that begin with a label. Labels in prose are none: "[A] and [B]
    are about cats. [B] > [A]" lists B first. Where two runs are as long and differ, a run with ">"
    counts, or none.

    Args:
        prompt: says how labels are written.
        text: the answer, as ``clean`` gives it.
        cut: whether the token limit ended it, so that its last number may not be whole.

    Returns:
        The labels' indices, which may be of passages that were not shown; nothing for no listing.
    """
    label = "[A-Z]" if prompt.labels == "letters" else r"\d+"
    before, after = (part.strip() for part in prompt.answer.fill(label="\0").split("\0"))
    written = rf"(?:(?i:{_NOUNS})\s*)?(?<!\w)(?P<label>{label})(?!\w)"
    if before or after:
        prefix = r"\s*".join(map(re.escape, before.split()))
        written = rf"(?<!\w)(?i:{prefix})\s*(?P<label>{label})(?!\w)\s*{re.escape(after)}"
        if not before[:1].isalnum():
            written = written.removeprefix(r"(?<!\w)")
    for pattern in dict.fromkeys(
        (written, rf"(?:(?i:{_NOUNS})\s*)?(?<!\w)(?P<label>{label})(?!\w)")
    ):
        runs = _numbered_lines(pattern, text) or _runs(pattern, text)
        if cut:
            # "1" may be the start of "12".
            runs = [
                run._replace(labels=run.labels[:-1])
                if run.end == len(text) and text[-1:].isdigit()
                else run
                for run in runs
            ]
        if runs:
            return [_index(prompt, name) for name in _best(runs)]
    return []


class _Run(NamedTuple):
    labels: tuple[str, ...]
    chained: bool
    end: int = -1


def _runs(pattern: str, text: str) -> list[_Run]:
    """The runs of labels; one without ">" must have its lines to itself, but for lead words."""
    runs = []
    for match in re.finditer(
        rf"{pattern}(?:{_SEPARATOR}{re.sub('P<label>', ':', pattern)})*", text
    ):
        labels = tuple(one["label"] for one in re.finditer(pattern, match[0]))
        chained = bool(re.search("[>≻]", re.sub(pattern, "", match[0]))) and len(labels) > 1
        start = text.rfind("\n", 0, match.start()) + 1
        end = text.find("\n", match.end())
        lead, rest = text[start : match.start()], text[match.end() : len(text) if end < 0 else end]
        alone = re.fullmatch(rf"(?:.*[:：]|{MARKUP}{LEAD}|{MARKUP}\d*[.)]?){MARKUP}", lead)
        if _WORST_FIRST.search(lead):
            continue
        if chained or (alone and re.fullmatch(rf"{MARKUP}[.!。]?{MARKUP}", rest)):
            runs.append(_Run(labels, chained, match.end()))
    # A label by itself is a listing only where there is nothing else.
    if len(runs) > 1 or not re.fullmatch(
        rf"{MARKUP}{LEAD}{MARKUP}(?:{pattern})?{MARKUP}[.]?{MARKUP}", text
    ):
        runs = [run for run in runs if len(run.labels) > 1]
    return runs


def _numbered_lines(pattern: str, text: str) -> list[_Run]:
    """The labels that lines numbered from 1 begin with, whatever follows them."""
    lines = [
        (int(match["number"]), match["label"])
        for match in re.finditer(
            rf"^[ \t*_]*(?P<number>\d{{1,3}})[.):][ \t*_]*{pattern}", text, re.M
        )
    ]
    ordered = [number for number, _ in lines] == list(range(1, len(lines) + 1))
    return [_Run(tuple(label for _, label in lines), True)] if len(lines) > 1 and ordered else []


def _best(runs: Sequence[_Run]) -> tuple[str, ...]:
    """The labels of the longest run; of none where several are as long and differ."""
    longest = max(len(set(run.labels)) for run in runs)
    candidates = [run for run in runs if len(set(run.labels)) == longest]
    if chained := [run for run in candidates if run.chained]:
        candidates = chained
    different = {run.labels for run in candidates}
    return different.pop() if len(different) == 1 else ()


def _label(prompt: Prompt, index: int) -> str:
    return ascii_uppercase[index] if prompt.labels == "letters" else str(index + 1)


def _index(prompt: Prompt, label: str) -> int:
    if prompt.labels == "letters":
        return ascii_uppercase.index(label)
    # The label 0 is invented: it gets an index beyond all passages.
    return int(label[:9]) - 1 if int(label[:9]) else MOST["numbers"]
