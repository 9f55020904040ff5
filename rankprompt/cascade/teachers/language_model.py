"""The teacher that is a language model, asked about one window at a time."""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b

from rankprompt.answering import Answering
from rankprompt.errors import ModelError
from rankprompt.judges import passage_room
from rankprompt.prompt import Prompt
from rankprompt.readings import passage_reading

__all__ = ["LanguageModelTeacher"]

_CHUNK = 256  # as many as a judge asks at a time


class LanguageModelTeacher:
    """Scores pairs by a prompt that shows one passage; higher is more relevant.

    With a prompt of kind "likelihood" the score is the query's mean log-likelihood a token (UPR,
    arXiv 2204.07496), with one of kind "relevance" the log-odds of yes against no (arXiv
    2211.09110), both in nats. A window that the model has no room for is cut.

    Args:
        answering: a model behind its journal.
        prompt: of one of these kinds.

    Attributes:
        fingerprint: changes whenever the scores may.
        queries_cut: always empty: a query that is too long is refused.

    Raises:
        InputError: the prompt is of another kind.
    """

    def __init__(self, answering: Answering, prompt: Prompt) -> None:
        self._answering, self._reading = answering, passage_reading(prompt)
        asked = repr(self._reading.request("{query}", "{passage}"))
        content = f"{answering.model.fingerprint}\0{asked}".encode()
        self.fingerprint = blake2b(content, digest_size=16).hexdigest()
        self.queries_cut: set[str] = set()
        self._room = lru_cache(maxsize=1 << 12)(self._measure_room)

    @property
    def tokens(self) -> int:
        """Read so far, padding left out."""
        return self._answering.costs.tokens

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Scores pairs, in their order.

        Raises:
            ModelError: the budget is spent, or a query leaves no room for a window.
        """
        scores = []
        cut = self._answering.model.cut
        for start in range(0, len(pairs), _CHUNK):
            answers, _ = self._answering(
                [
                    self._reading.request(query, cut(window, self._room(query)))
                    for query, window in pairs[start : start + _CHUNK]
                ]
            )
            for answer in answers:
                if answer is None:
                    raise ModelError(
                        "the budget is spent before every window has a score; what was answered "
                        "is in the journal: start the same command again with a larger one"
                    )
                scores.append(self._reading.score(answer))
        return scores

    def _measure_room(self, query: str) -> int:
        shown = query if len(query) <= 40 else f"{query[:40]}..."
        return passage_room(self._answering.model, self._reading, query, repr(shown))
