"""Diagnostics of a judge: position bias, contradictions, intransitivity, unreadable answers."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from rankprompt.types import (
    Judgment,
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
    """Counts over distinct pairs; a pair that a ranker asks again counts once.

    Attributes:
        pairs: distinct pairs judged.
        shown: readable answers with a preference, about pairs that were shown in an order.
        shown_first: of these, the answers that prefer the passage shown first.
        both: pairs asked in both orders with both answers readable.
        inconsistent: of these, the pairs whose answers contradict each other or include a tie.
        unreadable: answers that could not be parsed; each counts as a tie.
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
        """Adds a judged pair.

        Args:
            question: the pair.
            answers: by whether the pair was shown in reverse order, the probability that the
                passage *shown first* is more relevant; None where the answer is unreadable.
            preference: the conclusion, for the question's own first document.
        """
        preferences = self._preferences[question.query.id]
        pair = (question.first.id, question.second.id)
        if pair in preferences or pair[::-1] in preferences:
            return
        preferences[pair] = preference
        self.pairs += 1
        readable = [answer for answer in answers.values() if answer is not None]
        self.unreadable += len(answers) - len(readable)
        self.shown += sum(answer != 0.5 for answer in readable)
        self.shown_first += sum(answer > 0.5 for answer in readable)
        if len(readable) == 2:
            self.both += 1
            forward, reverse = readable
            self.inconsistent += not (forward - 0.5) * (reverse - 0.5) < 0

    def tally(self) -> Counter[str]:
        """The counts, which can be added to those of other queries."""
        cycles, triples = self._triples()
        counts = {name: getattr(self, name) for name in _COUNTS}
        return Counter({**counts, "intransitive_triples": cycles, "triples": triples})

    def summary(self) -> dict[str, float | int | None]:
        """The rates that ``summarise`` computes."""
        return summarise(self.tally())

    def _triples(self) -> tuple[int, int]:
        """The numbers of cyclic triples, and of all triples of strict preferences."""
        import numpy as np

        cycles = triples = 0
        for preferences in self._preferences.values():
            index: dict[str, int] = {}
            for pair in preferences:
                for name in pair:
                    index.setdefault(name, len(index))
            # Sums of 0 and 1 up to 2^53 are exact in float64, whose matrix products are fast.
            beats = np.zeros((len(index), len(index)))
            for (first, second), preference in preferences.items():
                if preference != 0.5:
                    winner, loser = (first, second) if preference > 0.5 else (second, first)
                    beats[index[winner], index[loser]] = 1
            either = beats + beats.T
            cycles += round(float(((beats @ beats) * beats.T).sum())) // 3
            triples += round(float(((either @ either) * either).sum())) // 6
        return cycles, triples


class SingleOrderDiagnostics:
    """Counts over distinct questions of a single order; a question asked again counts once."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, ...]] = set()
        self._tally: Counter[str] = Counter()

    @property
    def unreadable(self) -> int:
        """Answers that could not be parsed; each left the documents in the order shown."""
        return self._tally["unreadable"]

    def add(self, question: Question, answer: Judgment, repairs: Mapping[str, int]) -> None:
        """Adds a judged question.

        Args:
            question: the question, with its documents in the order shown.
            answer: the answer of the question's kind; None where it is unreadable.
            repairs: the numbers of labels that were "missing", "doubled" or "invented" in it.
        """
        ids = (question.query.id, *(document.id for document in question.documents))
        if ids in self._seen:
            return
        self._seen.add(ids)
        self._tally["questions"] += 1
        self._tally["unreadable"] += answer is None
        self._tally["repaired"] += any(repairs.values())
        self._tally.update(repairs)
        if isinstance(question, SetwiseQuestion | ListwiseQuestion) and isinstance(answer, tuple):
            best = answer.index(max(answer)) if isinstance(question, SetwiseQuestion) else answer[0]
            self._tally["chosen"] += 1
            self._tally["chosen_first"] += best == 0

    def tally(self) -> Counter[str]:
        """The counts, which can be added to those of other queries."""
        return Counter(self._tally)

    def summary(self) -> dict[str, float | int | None]:
        """The rates that ``summarise`` computes."""
        return summarise(self._tally)


def summarise(tally: Counter[str]) -> dict[str, float | int | None]:
    """Turns counts into rates; a rate is None where nothing was counted that it could be over.

    ``position_bias`` is the rate of answers that prefer the passage shown first, less a half: 0 is
    unbiased, and +0.5 answers "A" to everything. ``inconsistent`` is the rate of pairs whose two
    orders do not agree. ``triples`` counts the triples of a query's documents with three strict
    preferences, and ``intransitive_triples`` those of them that form a cycle; a random judge makes
    a cycle of 1 in 4.

    Where there are setwise, listwise or pointwise questions, ``questions`` counts them, and
    ``repaired`` those whose answers lacked, doubled or invented labels (``missing``, ``doubled``
    and ``invented`` count the labels). ``first_chosen`` is the rate of setwise and listwise answers
    whose best document is the one shown first.

    Args:
        tally: the counts from ``PairwiseDiagnostics.tally`` or ``SingleOrderDiagnostics.tally``, or
            a sum of several.
    """
    shown, both = tally["shown"], tally["both"]
    single_order: dict[str, float | int | None] = {}
    if tally["questions"]:
        counts = ("questions", "repaired", "missing", "doubled", "invented")
        chosen = tally["chosen"]
        single_order = {name: tally[name] for name in counts}
        single_order["first_chosen"] = tally["chosen_first"] / chosen if chosen else None
    return {
        "pairs": tally["pairs"],
        "unreadable": tally["unreadable"],
        "position_bias": tally["shown_first"] / shown - 0.5 if shown else None,
        "inconsistent": tally["inconsistent"] / both if both else None,
        "intransitive_triples": tally["intransitive_triples"],
        "triples": tally["triples"],
        **single_order,
    }
