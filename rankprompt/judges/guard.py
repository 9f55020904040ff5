"""The guard against a judge that says nothing: its ranking would be the first stage's."""

import logging
import math
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal

from rankprompt.errors import ModelError
from rankprompt.llm.base import Answer

__all__ = ["AnswerGuard", "Source"]

Source = Literal["model", "journal", "repeated"]
"""Where the answers to a question came from: the model, the journal, or this run before."""

log = logging.getLogger("rankprompt")

# A run stops where its first answers are all unreadable, or nearly all of a longer stretch.
_FIRST, _STRETCH = 32, 200
_UNREADABLE, _TIES = 0.9, 0.95
# A larger share of unreadable answers is told at the end, also where the user wants no summary.
_TOLD = 0.1
# Fewer ties than these in a row are chance, and so are fewer equal scores.
_FEW = 3
_SHOWN = 60  # characters of an answer in a message

# By problem: what happened, and what to do.
_CAUSES = {
    "thinking": (
        "the model was still thinking when its tokens ended",
        "switch that off with `thinking` off or at the server, or raise the prompt's max_tokens",
    ),
    "cut": ("the token limit cut them off", "raise max_tokens in the prompt's file"),
    "refused": (
        "a content filter refused the prompts",
        "read what the provider filters, or take another model",
    ),
    "empty": (
        "the model wrote nothing",
        "check its chat template, and whether it thinks unseen (then raise the prompt's "
        "max_tokens, or switch `thinking` off)",
    ),
    "unlisted": (
        "none of the options is among the likely tokens",
        "check the chat template, or try another `prompt` or `mode` generation",
    ),
    "shortened": (
        "the server read much less than it was sent",
        "raise its context length, or lower `passage_tokens`",
    ),
    "unscored": (
        "the scores that the server gives are not numbers",
        "its model may overflow: run it in float32 there",
    ),
    "damaged": (
        "the model's scores are not numbers",
        "its weights are damaged, or lie outside the range of their number format: check its files",
    ),
    "not a number": ("the model's scores are not numbers", "try `dtype` float32"),
    "no choice": (
        "they name none of the options, or several",
        "try `mode` scoring, another `prompt` or a more capable model",
    ),
}


class _Stretch:
    """Counts events, and says when the first or the latest of them are nearly all of a kind."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._latest: deque[bool] = deque(maxlen=_STRETCH)
        self.seen = self.counted = self._counted_lately = 0
        self._resumed = False

    def add(self, counts: bool, source: Source) -> bool:
        """Adds an event; returns whether too many of them count, where the model was asked."""
        if len(self._latest) == _STRETCH:
            self._counted_lately -= self._latest[0]
        self._latest.append(counts)
        self._counted_lately += counts
        self.seen += 1
        self.counted += counts
        self._resumed |= source == "journal"
        if source != "model":
            # Stopping saves nothing, and answers that are known come in another order than they
            # were asked in: query by query in place of many queries at a time.
            return False
        full = len(self._latest) == _STRETCH and self._counted_lately > self._share * _STRETCH
        if self._resumed:
            # The journal keeps no unreadable answers: those alone are asked again, one after the
            # other.
            full = full and self.counted > self._share * self.seen
        return full or self.seen == self.counted >= _FIRST


class AnswerGuard:
    """Stops a run whose judge gives no answers that can be read, only ties, or equal scores.

    A run stops where its first 32 answers are unreadable, or more than nine in ten of any 200; or
    where the two orders of its first 32 pairs do not agree, or of more than 19 in 20 of any 200
    pairs; or where its first 200 scores of single passages are equal, or all of at least 32 (or the
    differences of two, in pairs). A short run is checked at its end. Answers that were known
    before are counted, and stop a run at its end only.

    Args:
        keep_going: warn in place of stopping.
        silent: only count: neither stop nor warn. For judges of whose answers no run is made.
        skip_refused: take answers that a content filter refused as unreadable; they do not stop
            the run unless there are no others.

    Attributes:
        counts: the numbers of "answers", of "unreadable" answers, of "pairs" asked in both orders
            and of "ties" among them; and of unreadable answers by cause.
        refused: the numbers of refused answers by (query id, document id).
        scores: the numbers of scores of single passages, or of pairs by them, by score; no more are
            counted as soon as there are two that differ.
    """

    def __init__(
        self, *, keep_going: bool = False, skip_refused: bool = False, silent: bool = False
    ) -> None:
        self._keep_going, self._silent = keep_going or silent, silent
        self._skip_refused = skip_refused or silent
        self._unreadable, self._ties = _Stretch(_UNREADABLE), _Stretch(_TIES)
        self.counts: Counter[str] = Counter()
        self.refused: Counter[tuple[str, str]] = Counter()
        self.scores: Counter[float] = Counter()
        self._scored: set[tuple[str, ...]] = set()
        self._example = ""
        self._told: set[str] = set()

    def add(self, answers: Sequence[Answer], *, readable: bool, source: Source = "model") -> None:
        """Counts the model's answers to a question, in one order.

        Raises:
            ModelError: too many answers are unreadable.
        """
        self.counts["answers"] += 1
        if not readable:
            cause = _cause(answers)
            self.counts["unreadable"] += 1
            self.counts[cause] += 1
            if cause in ("cut", "no choice"):
                self._example = self._example or answers[0].text
            if cause == "refused" and self._skip_refused:
                return
        if self._unreadable.add(not readable, source):
            self._stop("unreadable", self._describe())

    def add_pair(self, *, tie: bool, source: Source = "model") -> None:
        """Counts a pair that was asked in both orders with both answers readable.

        Raises:
            ModelError: too many pairs are ties.
        """
        self.counts["pairs"] += 1
        self.counts["ties"] += tie
        if self._ties.add(tie, source):
            self._stop("ties", self._describe_ties())

    def add_score(
        self, score: float, source: Source = "model", *, texts: tuple[str, ...] | None = None
    ) -> None:
        """Counts the score of a single passage, or a preference that two such scores give.

        Args:
            score: the score.
            source: where the answer came from.
            texts: those of the query and of the passages; equal ones have equal scores, and count
                once. None counts in any case.

        Raises:
            ModelError: all scores are equal, and there are too many for chance.
        """
        if len(self.scores) < 2 and (texts is None or texts not in self._scored):
            if texts is not None:
                self._scored.add(texts)
            self.scores[score] += 1
            if self.scores[score] >= _STRETCH and source == "model":
                self._stop("equal", self._describe_equal())

    def refuse(self, query_id: str, document_ids: Sequence[str]) -> None:
        """Counts a refusal by a content filter.

        Raises:
            ModelError: such answers are not to be skipped.
        """
        if not self._skip_refused:
            raise ModelError(
                f"a content filter refused the prompt about query {query_id} and "
                f"{_documents(document_ids)}; with `skip_refused` such answers count as "
                "unreadable, and the run goes on"
            )
        self.refused.update((query_id, document_id) for document_id in document_ids)

    def causes(self) -> dict[str, int]:
        """The numbers of unreadable answers by cause."""
        return {cause: self.counts[cause] for cause in _CAUSES if self.counts[cause]}

    def merge(
        self,
        counts: Counter[str],
        refused: Counter[tuple[str, str]],
        scores: Mapping[float, int] = MappingProxyType({}),
    ) -> None:
        """Adds what the guard of another process counted."""
        self.counts.update(counts)
        self.refused.update(refused)
        self.scores.update(scores)

    def finish(self) -> None:
        """Checks all answers of a run, also of a short one; warns where many are unreadable.

        Raises:
            ModelError: nearly all answers are unreadable, or all scores are equal.
        """
        counts = self.counts
        if counts["unreadable"] > _UNREADABLE * counts["answers"]:
            self._stop("unreadable", self._describe())
        elif counts["unreadable"] > _TOLD * counts["answers"]:
            self._warn("unreadable", self._describe())
        if counts["ties"] >= _FEW and counts["ties"] > _TIES * counts["pairs"]:
            self._warn("ties", self._describe_ties())
        if len(self.scores) == 1 and (number := self.scores.total()) >= _FEW:
            tell = self._stop if number >= _FIRST else self._warn
            tell("equal", self._describe_equal())
        if self.refused and not self._silent:
            names = [
                f"{document} for query {query} ({number:,})"
                for (query, document), number in self.refused.most_common(3)
            ]
            more = len(self.refused) - len(names)
            log.warning(
                "a content filter refused %d prompts, which count as ties; most often with "
                "document %s%s",
                counts["refused"],
                ", ".join(names),
                f" and {more:,} more" if more else "",
            )

    def _stop(self, kind: str, message: str) -> None:
        if self._keep_going:
            self._warn(kind, message)
            return
        raise ModelError(
            f"{message}. No run is written, and the journal is kept; `keep_going` goes on all the "
            "same"
        )

    def _warn(self, kind: str, message: str) -> None:
        if kind not in self._told and not self._silent:
            self._told.add(kind)
            log.warning("%s", message)

    def _describe(self) -> str:
        counts = self.counts
        cause = max(_CAUSES, key=lambda name: counts[name])
        what, advice = _CAUSES[cause]
        example = ""
        if cause in ("cut", "no choice") and self._example:
            text = " ".join(self._example.split())
            example = f", as in {text[:_SHOWN] + ('...' if len(text) > _SHOWN else '')!r}"
        return (
            f"{counts['unreadable']:,} of {counts['answers']:,} answers cannot be read, so they "
            f"rank nothing: {what}{example} ({counts[cause]:,}); {advice}"
        )

    def _describe_equal(self) -> str:
        ((score, number),) = self.scores.items()
        return (
            f"all {number:,} scores are equal ({score:.6g}), so they rank nothing: the model may "
            "lack weights, or not see the passages; check it, or try another `model` or `prompt`"
        )

    def _describe_ties(self) -> str:
        counts = self.counts
        return (
            f"{counts['ties']:,} of {counts['pairs']:,} pairs are ties, because the answers to "
            "their two orders do not agree, so they rank nothing: the model may choose by position "
            "alone, or not see the passages; try another `prompt`, a more capable model or "
            "`decide` soft"
        )


def _cause(answers: Sequence[Answer]) -> str:
    """The problem of unreadable answers, as a key of the table of causes."""
    for answer in answers:
        if answer.problem:
            return answer.problem
        if any(map(math.isnan, answer.loglikelihoods)):
            return "not a number"
    return "no choice"


def _documents(ids: Sequence[str]) -> str:
    return f"document{'s' if len(ids) > 1 else ''} {', '.join(ids)}"
