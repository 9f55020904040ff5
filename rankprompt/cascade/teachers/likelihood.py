"""The teacher that is a language model: how likely is the query after a window?"""

from collections.abc import Sequence
from hashlib import blake2b

from rankprompt.answering import Answering
from rankprompt.errors import InputError, ModelError
from rankprompt.models.base import Request
from rankprompt.prompt import Prompt

__all__ = ["LikelihoodTeacher"]

_CHUNK = 256  # as many as a judge asks at a time


class LikelihoodTeacher:
    """Scores pairs by query likelihood (after UPR, arXiv 2204.07496).

    The score is the query's mean log-likelihood a token, in nats; higher is more relevant. Answers
    are kept in the journal of ``answering``.

    Args:
        answering: a model behind its journal.
        prompt: of the kind "likelihood".

    Attributes:
        fingerprint: changes whenever the scores may.

    Raises:
        InputError: the prompt is of another kind.
    """

    def __init__(self, answering: Answering, prompt: Prompt) -> None:
        if prompt.kind != "likelihood":
            raise InputError(f"expected a prompt of the kind likelihood, not {prompt.kind}")
        self._answering, self._prompt = answering, prompt
        asked = "\0".join([answering.model.fingerprint, repr(self._request("", ""))])
        self.fingerprint = blake2b(asked.encode(), digest_size=16).hexdigest()

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Scores pairs, in their order.

        Raises:
            ModelError: the budget is spent, or a prompt does not fit into the model's context.
        """
        scores = []
        for start in range(0, len(pairs), _CHUNK):
            chunk = pairs[start : start + _CHUNK]
            answers, _ = self._answering([self._request(*pair) for pair in chunk])
            for answer in answers:
                if answer is None:
                    raise ModelError(
                        "the budget is spent before every window has a score; what was answered "
                        "is in the journal: start the same command again with a larger one"
                    )
                scores.append(answer.loglikelihoods[0] / max(1, answer.tokens[0]))
        return scores

    def _request(self, query: str, window: str) -> Request:
        slots = {"query": query, "passage": window}
        text = self._prompt.text
        target = self._prompt.target.fill(query=query)
        return Request(
            text.fill(**slots), (target,), chat=self._prompt.chat, breaks=text.breaks(**slots)
        )
