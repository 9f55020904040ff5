"""The teacher that is asked about one window at a time: a language model, or a served reranker."""

import math
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

from rankprompt.cascade.teachers.base import TeacherConfig
from rankprompt.errors import ModelError
from rankprompt.journal.cached_model import CachedModel, ConcurrentCachedModel, Runner
from rankprompt.journal.store import Journal
from rankprompt.judges.guard import AnswerGuard
from rankprompt.judges.registry import check_fit, check_special_tokens, single_order_adapter
from rankprompt.judges.single_order import SingleOrderJudge
from rankprompt.prompts.prompt import Prompt, load_prompt
from rankprompt.types import Document, PointwiseQuestion, Query

__all__ = ["LanguageModelTeacher", "load"]

_SHOWN = 40  # characters of a query in a message


class LanguageModelTeacher:
    """Scores pairs as the method ``pointwise`` does; higher is more relevant.

    With a prompt of kind "likelihood" the score is the query's mean log-likelihood per token, in
    nats (UPR, arXiv 2204.07496). With one of kind "grades" it is the expected grade, which for yes
    and no is the probability of yes (HELM, arXiv 2211.09110). With ``RELEVANCE``, a reranker's, it
    is the log-odds of relevance. A window that does not fit into the model's context is truncated.

    Args:
        model: A model behind its journal.
        prompt: A prompt of one of these kinds.
        guard: Stops where the answers cannot be read; None for one of its own.
        runner: Runs the calls, where the model is behind a server.

    Attributes:
        fingerprint: A digest that changes whenever the scores may change.

    Raises:
        InputError: The prompt is of another kind, or for another family of models.
    """

    def __init__(
        self,
        model: CachedModel | ConcurrentCachedModel,
        prompt: Prompt,
        guard: AnswerGuard | None = None,
        runner: Runner | None = None,
    ) -> None:
        check_fit(prompt, "pointwise")
        check_special_tokens(prompt, model.model)
        adapter = single_order_adapter(prompt, "scoring")
        self._model, self._runner = model, runner
        self._judge: SingleOrderJudge[Any] = SingleOrderJudge(model, adapter, guard=guard)
        template = repr((adapter.requests("{query}", ["{passage}"]), prompt.grades))
        content = f"{model.model.fingerprint}\0{template}".encode()
        self.fingerprint = blake2b(content, digest_size=16).hexdigest()

    @property
    def tokens(self) -> int:
        """How many tokens have been read so far, without padding."""
        return self._model.costs.tokens

    @property
    def windows_cut(self) -> int:
        """How many texts were truncated so far; a text counts once for each query."""
        return len(self._judge.truncated)

    def cuts(self, query: str) -> bool:  # noqa: ARG002 - the protocol's
        """Returns False: a query that is too long is refused."""
        return False

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Scores pairs, in their order.

        Raises:
            ModelError: The budget is spent, a query leaves no room for a window, or a server's
                content filter refuses one.
        """
        questions = [PointwiseQuestion(_query(query), _document(text)) for query, text in pairs]
        if self._runner:
            scores = self._runner.run(self._judge.ask_concurrently(questions))
        else:
            scores = self._judge(questions)
        if refused := self._judge.guard.refused:
            raise ModelError(
                f"a content filter refused a window for query {min(refused)[0]}: a cascade needs "
                "the scores of all; leave the query or the document out"
            )
        if self._judge.unasked:
            raise ModelError(
                "the budget is spent before every window has a score; what was answered "
                "is in the journal: start the same command again with a larger one"
            )
        return [math.nan if score is None else score for score in scores]


def load(config: TeacherConfig) -> LanguageModelTeacher:
    """Returns a language model as a teacher, and loads it unless that has been done."""
    model = config.model
    if model is None:
        from rankprompt.llm import load_model

        model = CachedModel(load_model(config.source), Journal(None))
    prompt = config.prompt
    if isinstance(prompt, str):
        prompt = load_prompt(prompt)
    return LanguageModelTeacher(model, prompt, config.guard, config.runner)


def _document(text: str) -> Document:
    content = text.encode("utf-8", "surrogatepass")
    return Document(blake2b(content, digest_size=8).hexdigest(), text)


def _query(text: str) -> Query:
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    return Query(repr(shown), text)
