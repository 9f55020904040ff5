"""The teacher that is a language model, asked about one window at a time."""

import math
from collections.abc import Sequence
from hashlib import blake2b

from rankprompt.errors import ModelError
from rankprompt.journal.cached_model import CachedModel
from rankprompt.judges.registry import check_fit, single_order_adapter
from rankprompt.judges.single_order import SingleOrderJudge
from rankprompt.prompts.prompt import Prompt
from rankprompt.types import Document, PointwiseQuestion, Query

__all__ = ["LanguageModelTeacher"]

_SHOWN = 40  # characters of a query in a message


class LanguageModelTeacher:
    """Scores pairs as the method ``pointwise`` does; higher is more relevant.

    With a prompt of kind "likelihood" the score is the query's mean log-likelihood a token (UPR,
    arXiv 2204.07496), in nats; with one of kind "grades" the expected grade, which for yes and no
    is the probability of yes (arXiv 2211.09110). A window that the model has no room for is cut.

    Args:
        model: a model behind its journal.
        prompt: of one of these kinds.

    Attributes:
        fingerprint: changes whenever the scores may.

    Raises:
        InputError: the prompt is of another kind.
    """

    def __init__(self, model: CachedModel, prompt: Prompt) -> None:
        check_fit(prompt, "pointwise")
        adapter = single_order_adapter(prompt, "scoring")
        self._model, self._judge = model, SingleOrderJudge(model, adapter)
        asked = repr((adapter.requests("{query}", ["{passage}"]), prompt.grades))
        content = f"{model.model.fingerprint}\0{asked}".encode()
        self.fingerprint = blake2b(content, digest_size=16).hexdigest()

    @property
    def tokens(self) -> int:
        """Read so far, padding left out."""
        return self._model.costs.tokens

    @property
    def windows_cut(self) -> int:
        """Texts scored so far that the model has no room for, each counted once for a query."""
        return len(self._judge.truncated)

    def cuts(self, query: str) -> bool:  # noqa: ARG002 - the protocol's
        """Never: a query that is too long is refused."""
        return False

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Scores pairs, in their order.

        Raises:
            ModelError: the budget is spent, or a query leaves no room for a window.
        """
        scores = self._judge(
            [PointwiseQuestion(_named(query), Document(_id(text), text)) for query, text in pairs]
        )
        if self._judge.unasked:
            raise ModelError(
                "the budget is spent before every window has a score; what was answered "
                "is in the journal: start the same command again with a larger one"
            )
        return [math.nan if score is None else score for score in scores]


def _id(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _named(query: str) -> Query:
    shown = query if len(query) <= _SHOWN else f"{query[:_SHOWN]}..."
    return Query(repr(shown), query)
