"""A judge model fitted to a model's real answers, so that a simulation errs as the model does."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any, cast

from rankprompt.errors import InputError
from rankprompt.journal.cached_model import Answering
from rankprompt.journal.store import Journal, key
from rankprompt.judges.adapters.pairwise import Reading
from rankprompt.judges.pairwise import CHUNK, PairwiseJudge
from rankprompt.judges.simulated.error_model import JudgeModel
from rankprompt.llm.base import Answer, Request
from rankprompt.types import Candidates, Comparison, Preference, Qrels

__all__ = ["Heard", "hear_journal"]

_BLIND = 0.499  # beyond this bias, what an answer says of the passages cannot be told


class Heard:
    """Real answers by how far the passage shown first is above the other in grade.

    Args:
        qrels: of all queries that will be heard of; an unjudged document counts as grade 0.

    Attributes:
        answers: heard so far.
    """

    def __init__(self, qrels: Qrels) -> None:
        self._qrels = qrels
        self.answers = 0
        self._ties = 0
        self._votes: dict[int, list[float]] = defaultdict(list)

    def add(
        self, comparison: Comparison, answers: Mapping[bool, float | None], _: Preference
    ) -> None:
        """Takes in a judged pair; stands where ``Diagnostics`` does."""
        query, first, second = comparison
        grades = self._qrels[query.id]
        gap = grades.get(first.id, 0) - grades.get(second.id, 0)
        for swapped, answer in answers.items():
            vote = 0.5 if answer is None else (answer > 0.5) + 0.5 * (answer == 0.5)
            self.answers += 1
            self._ties += vote == 0.5
            self._votes[-gap if swapped else gap].append(vote)

    def model(self) -> JudgeModel:
        """The judge model whose answers these most resemble.

        The bias is what is left of a preference for the first where the passages change places,
        in the mean over gaps, weighted by their answers; ties and errors are what the bias leaves
        to explain. Grades that nobody has asked about err as those one less apart.
        """
        votes = {gap: fmean(heard) for gap, heard in self._votes.items()}
        both = {
            gap: len(self._votes[gap]) + len(self._votes[-gap])
            for gap in votes
            if gap >= 0 and -gap in votes
        }
        lean = sum((votes[gap] + votes[-gap] - 1) * size for gap, size in both.items())
        bias = min(max(lean / 2 / (sum(both.values()) or 1), -_BLIND), _BLIND)
        heeded = 1 - 2 * abs(bias)
        ties = min(self._ties / self.answers / heeded, 1.0)
        errors: list[float] = []
        for gap in range(1, max(map(abs, votes)) + 1):
            # What heeds the position alone is right where the better one stands in its favour.
            right = [
                (share - max(favour * 2 * bias, 0)) / heeded
                for share, favour in (
                    (votes.get(gap), 1),
                    (1 - votes[-gap] if -gap in votes else None, -1),
                )
                if share is not None
            ]
            before = errors[-1] if errors else 0.5
            found = 1 - (fmean(right) - ties / 2) / (1 - ties) if right and ties < 1 else before
            errors.append(round(min(max(found, 0.0), 1.0), 4))
        return JudgeModel(
            tuple(errors) or (0.5,), guesses=True, bias=round(bias, 4), ties=round(ties, 4)
        )


class _Kept:
    """Stands before a journal for the model: what is not in it stays unanswered."""

    def __init__(self, model: Any, journal: Journal) -> None:
        self.model, self._journal = model, journal

    def __call__(self, requests: Sequence[Request]) -> tuple[list[Answer | None], list[bool]]:
        keys = [key(self.model.fingerprint, request) for request in requests]
        kept = self._journal.get(list(dict.fromkeys(keys)))
        found = [kept[name].answer if name in kept else None for name in keys]
        return found, [one is not None for one in found]


def hear_journal(
    path: Path,
    candidates: Sequence[Candidates],
    qrels: Qrels,
    *,
    model: Any,
    reading: Reading,
    judging: Mapping[str, Any],
) -> Heard:
    """Finds what a journal knows about candidates' pairs, whichever method had asked.

    Args:
        path: of the journal.
        candidates: of queries whose grades are known or not; the latter are left out.
        qrels: the grades.
        model: has the fingerprint of the one that answered, and cuts passages as it did.
        reading: what was asked.
        judging: how, as ``PairwiseJudge`` takes it.

    Raises:
        InputError: no such file, a prompt that shows one passage at a time, or no answer.
        JournalError: the file is no journal.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such journal to fit a judge model to")
    if not reading.ordered:
        raise InputError(
            "a judge model is fitted to a prompt that shows two passages; where each is read alone "
            "every method ranks by the same scores, and `rankprompt rerank` gives that ranking"
        )
    heard, journal = Heard(qrels), Journal(path)
    try:
        judge = PairwiseJudge(cast(Answering, _Kept(model, journal)), reading, **judging)
        judge.diagnostics = cast(Any, heard)
        for query, documents, _ in candidates:
            if query.id in qrels:
                pairs = [Comparison(query, *pair) for pair in combinations(documents, 2)]
                for start in range(0, len(pairs), CHUNK):
                    judge(pairs[start : start + CHUNK])
    finally:
        journal.close()
    if not heard.answers:
        raise InputError(
            f"{path}: holds no answer about these candidates by this model; give the settings of "
            "the run that wrote it (--model, --prompt, --mode, --order, --passage-tokens, --seed)"
        )
    return heard
