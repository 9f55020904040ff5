"""The pairs of candidates that a journal has answers about, whichever method asked them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import combinations

from rankprompt.journal.cached_model import Reply
from rankprompt.journal.store import Journal, key
from rankprompt.judges.base import CHUNK
from rankprompt.judges.pairwise import PairwiseJudge
from rankprompt.llm.base import Request
from rankprompt.rankers.driver import drive
from rankprompt.types import Candidates, PairwiseQuestion, Preference

__all__ = ["judge_from_journal"]


def judge_from_journal(
    judge: PairwiseJudge, journal: Journal, fingerprint: str, candidates: Iterable[Candidates]
) -> Iterator[tuple[list[PairwiseQuestion], list[Preference]]]:
    """Judges all pairs of each query's candidates by a journal's answers alone.

    Args:
        judge: renders the questions as the journal's run did, and reads the answers.
        journal: stays as it is.
        fingerprint: that of the model that answered.
        candidates: queries with their documents.

    Yields:
        Some pairs at a time with their preferences; a ``Fallback`` where the journal has no answer.
    """
    look_up = _reader(journal, fingerprint)
    for query, documents, _ in candidates:
        pairs = [PairwiseQuestion(query, *pair) for pair in combinations(documents, 2)]
        for start in range(0, len(pairs), CHUNK):
            questions = pairs[start : start + CHUNK]
            yield questions, drive(judge.ask(questions), look_up)


def _reader(journal: Journal, fingerprint: str) -> Callable[[Sequence[Request]], list[Reply]]:
    def look_up(requests: Sequence[Request]) -> list[Reply]:
        keys = [key(fingerprint, request) for request in requests]
        cached = journal.get(list(dict.fromkeys(keys)))
        return [Reply(cached[name].answer if name in cached else None, True) for name in keys]

    return look_up
