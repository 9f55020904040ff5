"""The judge of pointwise, setwise and listwise questions, which are asked in a single order."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from rankprompt.journal.cached_model import CachedModel, ConcurrentCachedModel
from rankprompt.judges.adapters.base import Adapter, ParsedAnswer
from rankprompt.judges.base import LLMJudge
from rankprompt.judges.diagnostics import SingleOrderDiagnostics
from rankprompt.judges.guard import AnswerGuard, Source
from rankprompt.llm.base import Request
from rankprompt.types import Judgment, Query, Question

__all__ = ["SingleOrderJudge"]

A = TypeVar("A", bound=Judgment)


class SingleOrderJudge(LLMJudge[Question, A]):
    """A language model that is shown a passage, or several passages in the question's order.

    Args:
        model: the model behind its journal.
        adapter: turns the passages into requests, and parses the replies.
        guard: as in ``LLMJudge``.
        passage_tokens: as in ``LLMJudge``.
        on_judged: as in ``LLMJudge``.

    Attributes:
        diagnostics: unreadable and repaired answers, and how often the first passage is selected.

    Raises:
        InputError: ``passage_tokens`` is below 1.
    """

    def __init__(
        self,
        model: CachedModel | ConcurrentCachedModel,
        adapter: Adapter[A],
        *,
        guard: AnswerGuard | None = None,
        passage_tokens: int | None = None,
        on_judged: Callable[[int], None] = lambda _: None,
    ) -> None:
        super().__init__(
            model, adapter, guard=guard, passage_tokens=passage_tokens, on_judged=on_judged
        )
        self._adapter = adapter
        self.diagnostics = SingleOrderDiagnostics()

    def _render(self, question: Question) -> Mapping[bool, Sequence[Request]]:
        query, documents = question.query, question.documents
        passages = self._passages(query, documents, len(documents))
        return {False: self._adapter.requests(self._escaped(query.text, query.id), passages)}

    def _render_empty(self, query: Query, passages: int) -> Sequence[Request]:
        return self._adapter.requests(self._escaped(query.text, query.id), [""] * passages)

    def _conclude(
        self, question: Question, parsed: Mapping[bool, ParsedAnswer[A]], source: Source
    ) -> A:
        answer, repairs = parsed[False]
        self.diagnostics.add(question, answer, repairs)
        if isinstance(answer, float):
            texts = (question.query.text, *(document.text for document in question.documents))
            self.guard.add_score(answer, source, texts=texts)
        return self._fallback(question) if answer is None else answer

    def _fallback(self, question: Question) -> A:
        return self._adapter.fallback(len(question.documents))
