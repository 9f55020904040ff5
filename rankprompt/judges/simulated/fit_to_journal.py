"""Fits an error model to a model's real answers, so that a simulated judge errs alike."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import cast

from rankprompt.errors import InputError
from rankprompt.journal.cached_model import CachedModel, Reply
from rankprompt.journal.store import Journal, key
from rankprompt.judges.adapters.base import PairwiseAdapter
from rankprompt.judges.base import CHUNK
from rankprompt.judges.diagnostics import PairwiseDiagnostics
from rankprompt.judges.pairwise import PairwiseJudge
from rankprompt.judges.simulated.error_model import ErrorModel
from rankprompt.llm.base import AsyncLanguageModel, LanguageModel, Request
from rankprompt.rankers.driver import drive
from rankprompt.types import Candidates, PairwiseQuestion, Preference, Qrels

__all__ = ["GradedAnswers", "fit_to_journal"]

_BLIND = 0.499  # beyond this bias, an answer tells nothing about the passages


class GradedAnswers(PairwiseDiagnostics):
    """Real answers, by how far the grade of the passage shown first is above the other's.

    Args:
        qrels: of all queries that are added; an unjudged document counts as grade 0.

    Attributes:
        answers: the number of answers added.
    """

    def __init__(self, qrels: Qrels) -> None:
        super().__init__()
        self._qrels = qrels
        self.answers = 0
        self._ties = 0
        self._votes: dict[int, list[float]] = defaultdict(list)

    def add(
        self,
        question: PairwiseQuestion,
        answers: Mapping[bool, float | None],
        preference: Preference,
    ) -> None:
        """Adds the answers about a pair, by whether it was shown in reverse order."""
        del preference
        query, first, second = question
        grades = self._qrels[query.id]
        gap = grades.get(first.id, 0) - grades.get(second.id, 0)
        for swapped, answer in answers.items():
            vote = 0.5 if answer is None else (answer > 0.5) + 0.5 * (answer == 0.5)
            self.answers += 1
            self._ties += vote == 0.5
            self._votes[-gap if swapped else gap].append(vote)

    def fit(self) -> ErrorModel:
        """The error model whose answers these most resemble.

        The bias is what remains of a preference for the first passage when the passages change
        places, in the mean over gaps, weighted by their answers. Ties and errors explain what the
        bias leaves. Gaps without answers err as the gap that is one smaller.
        """
        votes = {gap: fmean(some) for gap, some in self._votes.items()}
        both = {
            gap: len(self._votes[gap]) + len(self._votes[-gap])
            for gap in votes
            if gap >= 0 and -gap in votes
        }
        lean = sum((votes[gap] + votes[-gap] - 1) * size for gap, size in both.items())
        bias = min(max(lean / 2 / (sum(both.values()) or 1), -_BLIND), _BLIND)
        unbiased = 1 - 2 * abs(bias)
        ties = min(self._ties / self.answers / unbiased, 1.0)
        errors: list[float] = []
        for gap in range(1, max(map(abs, votes)) + 1):
            # An answer that follows the position alone is right where the better passage has it.
            right = [
                (share - max(favour * 2 * bias, 0)) / unbiased
                for share, favour in (
                    (votes.get(gap), 1),
                    (1 - votes[-gap] if -gap in votes else None, -1),
                )
                if share is not None
            ]
            before = errors[-1] if errors else 0.5
            error = 1 - (fmean(right) - ties / 2) / (1 - ties) if right and ties < 1 else before
            errors.append(round(min(max(error, 0.0), 1.0), 4))
        return ErrorModel(
            tuple(errors) or (0.5,), guesses=True, bias=round(bias, 4), ties=round(ties, 4)
        )


def fit_to_journal(
    path: Path,
    candidates: Sequence[Candidates],
    qrels: Qrels,
    *,
    model: LanguageModel | AsyncLanguageModel,
    adapter: PairwiseAdapter,
    order: str = "both",
    decide: str = "agreement",
    seed: int = 0,
    passage_tokens: int | None = None,
) -> GradedAnswers:
    """Collects the answers that a journal has about candidates' pairs, whichever method asked.

    Args:
        path: of the journal.
        candidates: queries with their documents; queries without grades are left out.
        qrels: the grades.
        model: has the fingerprint of the model that answered, and truncates passages as it did.
        adapter: turned the pairs into requests.
        order: as in ``PairwiseJudge``, like the settings that follow.
        decide: as ``order``.
        seed: as ``order``.
        passage_tokens: as ``order``.

    Raises:
        InputError: no such file, a prompt that shows one passage at a time, or no answer.
        JournalError: the file is no journal.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such journal to fit a judge model to")
    if not adapter.ordered:
        raise InputError(
            "a judge model is fitted to a prompt that shows two passages; where each is read alone "
            "every method ranks by the same scores, and `rankprompt rerank` gives that ranking"
        )
    graded = GradedAnswers(qrels)
    with closing(Journal(path)) as journal:
        judge = PairwiseJudge(
            CachedModel(cast(LanguageModel, model), journal),
            adapter,
            order=order,
            decide=decide,
            seed=seed,
            passage_tokens=passage_tokens,
        )
        judge.diagnostics = graded

        def look_up(requests: Sequence[Request]) -> list[Reply]:
            keys = [key(model.fingerprint, request) for request in requests]
            known = journal.get(list(dict.fromkeys(keys)))
            return [Reply(known[name].answer if name in known else None, True) for name in keys]

        for query, documents, _ in candidates:
            if query.id in qrels:
                pairs = [PairwiseQuestion(query, *pair) for pair in combinations(documents, 2)]
                for start in range(0, len(pairs), CHUNK):
                    drive(judge.ask(pairs[start : start + CHUNK]), look_up)
    if not graded.answers:
        raise InputError(
            f"{path}: holds no answer about these candidates by this model; give the settings of "
            "the run that wrote it (`model`, `prompt`, `mode`, `order`, `passage_tokens`, `seed`)"
        )
    return graded
