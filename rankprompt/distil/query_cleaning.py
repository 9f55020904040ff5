"""Which of the texts that a model writes after passages are queries, and why others are none."""

import re
from collections import Counter
from collections.abc import Sequence

from rankprompt.llm.base import Answer
from rankprompt.retrieval.analyzer import Split

__all__ = ["QueryCleaner"]

# Fewer words may be a title, which somebody searches for as it is.
_COPIED = 12
# A model may write the label of the demonstrations again before its query.
_LABEL = re.compile(r"^(?:\w+ )?(?:query|question|search)\s*:\s*", re.IGNORECASE)
_REFERS = re.compile(
    r"\b(?:the|this|that|these|above|following|given)"
    r" (?:answer|article|document|excerpt|page|paragraph|passage|question|sentence|text|website)s?"
    r"\b",
    re.IGNORECASE,
)


class QueryCleaner:
    r"""Takes queries out of a model's answers, and leaves out what is none.

    Args:
        split: gives the words of texts, as the first stage counts them.

    Attributes:
        dropped: how many answers were left out, by the reason.

    Examples:
        >>> from rankprompt.distil.query_cleaning import QueryCleaner
        >>> from rankprompt.llm.base import Answer
        >>> from rankprompt.retrieval.analyzer import words
        >>> cleaner = QueryCleaner(words("en"))
        >>> passage = "Fleas live for up to a year, and lay 40 eggs a day."
        >>> cleaner.query(Answer(text=' "how long do fleas live" \nPassage:'), passage)
        'how long do fleas live'
        >>> cleaner.query(Answer(text="How long do fleas  live?"), passage), dict(cleaner.dropped)
        (None, {'repeat another query': 1})
    """

    def __init__(self, split: Split) -> None:
        self._split = split
        self._seen: set[str] = set()
        self.dropped: Counter[str] = Counter()

    def query(self, answer: Answer, passage: str) -> str | None:
        """The query that an answer begins with; None, which is counted, where there is none.

        Args:
            answer: the model's; its first line counts.
            passage: the passage after which it was written.
        """
        text = _first_line(answer.text)
        same = " ".join(_plain_words(text))
        reason = self._reason(answer, text, passage)
        if reason is None and same in self._seen:
            reason = "repeat another query"
        if reason is not None:
            self.dropped[reason] += 1
            return None
        self._seen.add(same)
        return text

    def _reason(self, answer: Answer, text: str, passage: str) -> str | None:
        if answer.problem not in ("", "cut", "empty"):
            return "are no answer"
        query = _plain_words(text)
        if not query:
            return "are empty"
        if answer.problem == "cut" and "\n" not in answer.text.strip():
            return "were cut off by the token limit"
        if _REFERS.search(text):
            return "refer to the passage"
        if len(query) > _COPIED and _contains(_plain_words(passage), query):
            return "copy the passage"
        mine, theirs = self._split([text, passage])
        if not set(mine) & set(theirs):
            return "share no word with the passage"
        return None


def _first_line(text: str) -> str:
    line = text.strip().partition("\n")[0]
    return " ".join(_LABEL.sub("", line.strip()).split()).strip("\"'“”‘’`* ")


def _plain_words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def _contains(words: Sequence[str], part: Sequence[str]) -> bool:
    """Whether words stand one after another among others."""
    return f" {' '.join(part)} " in f" {' '.join(words)} "
