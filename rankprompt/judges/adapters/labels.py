"""Labels of passages that are shown together: how they are written, and parsed from a reply."""

import re
from collections.abc import Sequence
from string import ascii_uppercase
from typing import NamedTuple

from rankprompt.errors import InputError
from rankprompt.judges.adapters.base import fill
from rankprompt.llm.base import Request
from rankprompt.llm.lead_words import DOUBT, LEAD, MARKUP, RETRACTS
from rankprompt.prompts.prompt import Prompt

__all__ = ["MOST", "LabelledPassages", "find_listing", "label_spellings"]

MOST = {"letters": len(ascii_uppercase), "numbers": 100}
"""By kind of label: the most passages that can be labelled."""

# What makes the labels after it no listing, or one in the wrong order.
_WORST_FIRST = re.compile(
    rf"{DOUBT}|\b(?:ascending|increasing|worst|less|bottom|lowest to|reverse\w*|alphabetical\w*|"
    r"original|irrelevance|discard\w*|exclud\w*|reject\w*|off.topic)\b|升序|从低到高"
    r"|(?<!to )(?<!to the )\bleast\b",
    re.I,
)
_NOUNS = "passage|document|doc|text|段落|文档"
_ORDERS = re.compile(r"\b(?:rank|order|list|most\b.*\bleast)|排序|顺序|排名", re.I)
# What may stand between two labels: of "[B] > [A]", and of "B, A" or a label a line.
_MARKS = r"[ \t*_`'\"()\[\]{}|\\]*"
_CHAIN = rf"{_MARKS}\n?{_MARKS}(?:[>≻≥=→]|&gt;)+{_MARKS}\n?{_MARKS}(?:(?i:{_NOUNS})\s*)?"
_LIST = (
    rf"{_MARKS}(?:[,;、，]\s*(?:and\b|then\b)?"
    r"|\n(?![ \t]*\n)(?:[ \t*_]*\d{1,3}[.)]|[ \t]*[-*•])?)"
    rf"{_MARKS}(?:(?i:{_NOUNS})\s*)?"
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
    written = rf"(?<!\w)(?P<label>{label})(?![\w/-])"
    if before or after:
        prefix = r"\s*".join(map(re.escape, before.split()))
        written = rf"(?<!\w)(?i:{prefix})\s*(?P<label>{label})(?!\w)\s*{re.escape(after)}"
        if not before[:1].isalnum():
            written = written.removeprefix(r"(?<!\w)")
    bare = rf"(?<!\w)(?P<label>{label})(?![\w/-])"
    # Bare labels count only where none is written as it should be.
    pattern = written if re.search(written, text) else bare
    runs = _numbered_lines(pattern, text)
    if runs is None:
        runs = _runs(pattern, text)
    if cut:
        # "1" may be the start of "12".
        runs = [
            run._replace(labels=run.labels[:-1])
            if run.end == len(text) and text[-1:].isdigit()
            else run
            for run in runs
        ]
    return [_index(prompt, name) for name in _best(runs)] if runs else []


class _Run(NamedTuple):
    labels: tuple[str, ...]
    chained: bool
    end: int = -1


def _runs(pattern: str, text: str) -> list[_Run]:
    """The runs of labels; none where a run with ">" is taken back, or has the worst first."""
    runs = []
    unnamed = pattern.replace("?P<label>", "?:")
    for separator, chained in ((_CHAIN, True), (_LIST, False)):
        least = "+" if chained else "*"
        for match in re.finditer(f"{pattern}(?:{separator}{unnamed}){least}", text):
            labels = tuple(one["label"] for one in re.finditer(pattern, match[0]))
            before, rest = text[: match.start()], text[match.end() :].partition("\n")[0]
            lead = before[before.rfind("\n") + 1 :]
            heading = before.rstrip().rpartition("\n")[2] if not lead.strip(" *_`") else ""
            denied = _WORST_FIRST.search(lead) or (
                heading.rstrip(" *_").endswith((":", "：")) and _WORST_FIRST.search(heading)
            )
            if chained and (denied or RETRACTS.match(lead) or rest.lstrip(" *_").startswith("?")):
                return []
            if chained or (not denied and _is_list(labels, lead or heading, rest)):
                runs.append(_Run(labels, chained, match.end()))
    whole = rf"{MARKUP}{LEAD}{MARKUP}(?:(?i:{_NOUNS})\s*)?(?:{pattern}){MARKUP}[.]?{MARKUP}"
    if not re.fullmatch(whole, text):  # a label by itself is a listing only where it is all
        runs = [run for run in runs if len(run.labels) > 1]
    return runs


def _is_list(labels: tuple[str, ...], lead: str, rest: str) -> bool:
    """Whether a run without ">" is a listing: its lines are its own, but for words that say so."""
    if not re.fullmatch(
        rf"(?:.*[:：]|{MARKUP}{LEAD}|{MARKUP}\d*[.)]?){MARKUP}(?:(?i:{_NOUNS})\s*)?", lead
    ):
        return False
    if not re.fullmatch(rf"{MARKUP}[.!。]?{MARKUP}", rest):
        return False
    # The passages in the order shown may only be named, unless nothing else is said of them.
    shown = list(labels) == sorted(labels, key=lambda label: (len(label), label))
    return not shown or not lead.strip(" *_`[({\"'") or bool(_ORDERS.search(lead))


def _numbered_lines(pattern: str, text: str) -> list[_Run] | None:
    """The labels that numbered lines begin with, whatever follows them.

    Returns:
        A run where the lines are numbered from 1, and none where they are numbered otherwise; None
        where there are no such lines.
    """
    lines = [
        (int(match["number"]), match["label"])
        for match in re.finditer(
            rf"^[ \t*_]*(?P<number>\d{{1,3}})[.)][ \t*_]*(?:(?i:{_NOUNS})\s*)?{pattern}", text, re.M
        )
    ]
    if len(lines) < 2:
        return None
    ordered = [number for number, _ in lines] == list(range(1, len(lines) + 1))
    heading = text.lstrip().partition("\n")[0]
    if not ordered or (heading.rstrip(" *_").endswith(":") and _WORST_FIRST.search(heading)):
        return []
    return [_Run(tuple(label for _, label in lines), True)]


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
