"""What a judge's answers say about the judge: position bias, contradictions, circles."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rankprompt.types import (
    ListwiseQuestion,
    PairwiseQuestion,
    Preference,
    Question,
    SetwiseQuestion,
)

__all__ = ["PairwiseDiagnostics", "SingleOrderDiagnostics", "summarise"]

_COUNTS = ("pairs", "shown", "shown_first", "both", "inconsistent", "unreadable")


@dataclass
class PairwiseDiagnostics:
    """Counts over distinct pairs; a pair that a sort asks again counts once.

    Attributes:
        pairs: distinct pairs judged.
        shown: readable answers with a preference, over pairs shown in an order.
        shown_first: of these, the ones that preferred the passage shown first.
        both: pairs asked in both orders with both answers readable.
        inconsistent: of these, the ones whose two answers contradict each other or hold a tie.
        unreadable: answers that could not be read (each made a tie).
    """

    pairs: int = 0
    shown: int = 0
    shown_first: int = 0
    both: int = 0
    inconsistent: int = 0
    unreadable: int = 0
    _preferences: dict[str, dict[tuple[str, str], Preference]] = field(
        default_factory=lambda: defaultdict(dict)
    )

    def add(
        self,
        question: PairwiseQuestion,
        answers: Mapping[bool, float | None],
        preference: Preference,
    ) -> None:
        """Takes in one judged pair.

        Args:
            question: the pair.
            answers: by whether the pair was shown swapped, the probability that the passage *shown
                first* is the better; None where unreadable.
            preference: the conclusion, for the question's own first document.
        """
        seen = self._preferences[question.query.id]
        pair = (question.first.id, question.second.id)
        if pair in seen or pair[::-1] in seen:
            return
        seen[pair] = preference
        self.pairs += 1
        readable = [answer for answer in answers.values() if answer is not None]
        self.unreadable += len(answers) - len(readable)
        self.shown += sum(answer != 0.5 for answer in readable)
        self.shown_first += sum(answer > 0.5 for answer in readable)
        if len(readable) == 2:
            self.both += 1
            one, other = readable
            self.inconsistent += not (one - 0.5) * (other - 0.5) < 0

    def tally(self) -> Counter[str]:
        """The counts, which can be added up with those of other queries."""
        circles, triples = self._triples()
        counts = {name: getattr(self, name) for name in _COUNTS}
        return Counter({**counts, "intransitive_triples": circles, "triples": triples})

    def summary(self) -> dict[str, float | int | None]:
        """The shares, as ``summarise`` gives them."""
        return summarise(self.tally())

    def _triples(self) -> tuple[int, int]:
        import numpy as np

        circles = triples = 0
        for preferences in self._preferences.values():
            index: dict[str, int] = {}
            for pair in preferences:
                for name in pair:
                    index.setdefault(name, len(index))
            # In float64, sums of 0 and 1 up to 2^53 are exact, and BLAS multiplies fast.
            beats = np.zeros((len(index), len(index)))
            for (one, other), preference in preferences.items():
                if preference != 0.5:
                    winner, loser = (one, other) if preference > 0.5 else (other, one)
                    beats[index[winner], index[loser]] = 1
            either = beats + beats.T
            circles += round(float(((beats @ beats) * beats.T).sum())) // 3
            triples += round(float(((either @ either) * either).sum())) // 6
        return circles, triples


class SingleOrderDiagnostics:
    """Counts over distinct questions that are no pairs; one that is asked again counts once.

    Attributes:
        unreadable: answers that could not be read.
    """

    def __init__(self) -> None:
        self._seen: set[tuple[str, ...]] = set()
        self._tally: Counter[str] = Counter()

    @property
    def unreadable(self) -> int:
        """Answers that could not be read; each left the documents as they were."""
        return self._tally["unreadable"]

    def add(self, question: Question, answer: Any, repairs: Mapping[str, int]) -> None:
        """Takes in one judged question.

        Args:
            question: the documents as they were shown.
            answer: of the question's kind; None where unreadable.
            repairs: labels that were "missing", "doubled" or "invented" in it.
        """
        asked = (question.query.id, *(one.id for one in question.documents))
        if asked in self._seen:
            return
        self._seen.add(asked)
        self._tally["questions"] += 1
        self._tally["unreadable"] += answer is None
        self._tally["repaired"] += any(repairs.values())
        self._tally.update(repairs)
        if isinstance(question, SetwiseQuestion | ListwiseQuestion) and answer is not None:
            best = answer.index(max(answer)) if isinstance(question, SetwiseQuestion) else answer[0]
            self._tally["chosen"] += 1
            self._tally["chosen_first"] += best == 0

    def tally(self) -> Counter[str]:
        """The counts, which can be added up with those of other queries."""
        return Counter(self._tally)

    def summary(self) -> dict[str, float | int | None]:
        """The shares, as ``summarise`` gives them."""
        return summarise(self._tally)


def summarise(tally: Counter[str]) -> dict[str, float | int | None]:
    """The shares, None where nothing was seen that they could be taken of.

    ``position_bias`` is the share of answers that preferred the passage shown first, less a
    half: 0 is unbiased, +0.5 says "A" to everything. ``inconsistent`` is the share of pairs
    whose two orders do not agree. ``intransitive_triples`` of ``triples`` (three documents
    of a query, each pair strictly preferred) go round in a circle; 1 in 4 would by chance.

    Where there were questions that are no pairs, ``questions`` counts them, and ``repaired`` those
    whose answers lacked, doubled or invented labels (``missing``, ``doubled`` and ``invented``
    count the labels). ``first_chosen`` is the share of selections and listings whose best was the
    passage shown first.

    Args:
        tally: from ``PairwiseDiagnostics.tally``, or several of them added up.
    """
    shown, both = tally["shown"], tally["both"]
    sets: dict[str, float | int | None] = {}
    if tally["questions"]:
        counted = ("questions", "repaired", "missing", "doubled", "invented")
        chosen = tally["chosen"]
        sets = {name: tally[name] for name in counted}
        sets["first_chosen"] = tally["chosen_first"] / chosen if chosen else None
    return {
        "pairs": tally["pairs"],
        "unreadable": tally["unreadable"],
        "position_bias": tally["shown_first"] / shown - 0.5 if shown else None,
        "inconsistent": tally["inconsistent"] / both if both else None,
        "intransitive_triples": tally["intransitive_triples"],
        "triples": tally["triples"],
        **sets,
    }
