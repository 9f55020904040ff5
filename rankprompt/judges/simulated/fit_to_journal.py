"""Fits an error model to a language model's answers, so that a simulated judge errs likewise."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from statistics import fmean
from typing import cast

from rankprompt.errors import InputError
from rankprompt.journal.cached_model import CachedModel
from rankprompt.journal.store import Journal
from rankprompt.judges.adapters.base import PairwiseAdapter
from rankprompt.judges.diagnostics import PairwiseDiagnostics
from rankprompt.judges.guard import AnswerGuard
from rankprompt.judges.known_pairs import judge_from_journal
from rankprompt.judges.pairwise import PairwiseJudge
from rankprompt.judges.simulated.error_model import ErrorModel
from rankprompt.llm.base import AsyncLanguageModel, LanguageModel
from rankprompt.types import Candidates, PairwiseQuestion, Preference, Qrels

__all__ = ["GradedAnswers", "fit_to_journal"]

_LARGEST_BIAS = 0.499  # with a larger bias, an answer would say nothing about the passages


class GradedAnswers(PairwiseDiagnostics):
    """Real answers, by the grade of the passage shown first less the grade of the other.

    Args:
        qrels: the grades of all queries that are added; an unjudged document counts as grade 0.

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
        """Adds the answers about a pair, by whether the pair was shown in reverse order."""
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
        """Fits the error model whose answers resemble these the most.

        The bias is the preference for the passage shown first that remains when the passages are
        swapped, averaged over gaps and weighted by their numbers of answers. Ties and errors
        explain the rest. A gap without answers has the error of the next smaller gap.
        """
        votes = {gap: fmean(gap_votes) for gap, gap_votes in self._votes.items()}
        counts = {
            gap: len(self._votes[gap]) + len(self._votes[-gap])
            for gap in votes
            if gap >= 0 and -gap in votes
        }
        excess = sum((votes[gap] + votes[-gap] - 1) * count for gap, count in counts.items())
        bias = excess / 2 / (sum(counts.values()) or 1)
        bias = min(max(bias, -_LARGEST_BIAS), _LARGEST_BIAS)
        unbiased = 1 - 2 * abs(bias)
        ties = min(self._ties / self.answers / unbiased, 1.0)
        errors: list[float] = []
        for gap in range(1, max(map(abs, votes)) + 1):
            # The rates of right answers that do not depend on the position alone; the latter are
            # right where the better passage is in the favoured position.
            right = [
                (rate - max(sign * 2 * bias, 0)) / unbiased
                for rate, sign in (
                    (votes.get(gap), 1),
                    (1 - votes[-gap] if -gap in votes else None, -1),
                )
                if rate is not None
            ]
            previous = errors[-1] if errors else 0.5
            error = 1 - (fmean(right) - ties / 2) / (1 - ties) if right and ties < 1 else previous
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
    """Collects a journal's answers about the pairs of candidates, whichever method asked them.

    Args:
        path: the journal's file.
        candidates: queries with their documents; queries without grades are left out.
        qrels: the grades.
        model: the model that answered: its fingerprint, and the way it truncates passages.
        adapter: the adapter that turned the pairs into requests.
        order: as in ``PairwiseJudge``, like the arguments that follow.
        decide: as ``order``.
        seed: as ``order``.
        passage_tokens: as ``order``.

    Raises:
        InputError: the file does not exist, the prompt shows a single passage at a time, or the
            journal has no answer about these pairs.
        JournalError: the file is not a journal.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such journal to fit a judge model to")
    if not adapter.ordered:
        raise InputError(
            "a judge model is fitted to a prompt that shows two passages; with a prompt that shows "
            "a single passage, every method gives the ranking of `rankprompt rerank`"
        )
    if order == "lazy":
        raise InputError(
            "a judge model is fitted to a run with `order` both or single: lazy asks the second "
            "order of some pairs only, by what the answers are"
        )
    graded = GradedAnswers(qrels)
    with closing(Journal(path)) as journal:
        judge = PairwiseJudge(
            # Answers are only looked up: the journal stays as it is.
            CachedModel(cast(LanguageModel, model), Journal(None)),
            adapter,
            guard=AnswerGuard(silent=True),
            order=order,
            decide=decide,
            seed=seed,
            passage_tokens=passage_tokens,
        )
        judge.diagnostics = graded

        with_grades = (one for one in candidates if one.query.id in qrels)
        for _ in judge_from_journal(judge, journal, model.fingerprint, with_grades):
            pass  # the diagnostics collect what is judged
    if not graded.answers:
        raise InputError(
            f"{path}: holds no answer about these candidates by this model; give the settings of "
            "the run that wrote it (`model`, `prompt`, `mode`, `order`, `passage_tokens`, `seed`)"
        )
    return graded
