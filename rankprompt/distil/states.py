"""What a student sees: the hidden states of a language model that reads a query and a passage."""

from collections.abc import Sequence
from typing import Self

import numpy as np
import numpy.typing as npt

from rankprompt.errors import InputError, ModelError, require
from rankprompt.llm.base import Request
from rankprompt.llm.embedded import EMBEDDED
from rankprompt.llm.registry import is_reranker, load_model
from rankprompt.llm.rerankers.head import StatesModel
from rankprompt.pipeline.job import RerankJob
from rankprompt.pipeline.model_names import check_model_name
from rankprompt.pipeline.unused_options import source_of
from rankprompt.prompts.prompt import Prompt, load_prompt
from rankprompt.types import Document, Progress, Query, no_progress

__all__ = ["Student", "check_student"]

# Layers that are read, as shares of the number of layers: the last ones turn to the next token.
_SHARES = (0.5, 0.6, 0.7, 0.8)
# As in rankprompt.judges.base: a passage may have more tokens between other texts than alone.
_SPARE_TOKENS = 8


def check_student(name: str, prompt: str) -> Prompt:
    """Checks a student's name and prompt at no cost, and returns the prompt.

    Raises:
        InputError: the model is not one on this machine, or a reranker; or the prompt does not show
            a query and a single passage.
    """
    check_model_name(name)
    if source_of(name)[0] != "local" or name.startswith("vllm:") or is_reranker(name):
        raise InputError(
            f"`student` {name}: a head is put on a language model in this process, such as "
            f"{EMBEDDED}, a folder or a hub id"
        )
    loaded = load_prompt(prompt)
    if loaded.text.slots != {"query", "passage"}:
        raise InputError(
            f"`student_prompt` {prompt} must show a {{query}} and one {{passage}}, as "
            "relevance-yes-no does"
        )
    return loaded


class Student:
    """A language model that reads passages with their query.

    Args:
        name: the model's.
        prompt: as ``check_student`` returns it.
        passage_tokens: the most tokens of a passage to show; None for as many as fit.
        threads: CPU threads; None for as many as this process may use.

    Attributes:
        model: the language model.
        layers: the layers whose states are read, counted from 1.
        tokens: how many were read so far.

    Raises:
        ModelError: the model cannot be loaded.
    """

    def __init__(
        self,
        name: str,
        prompt: Prompt,
        *,
        passage_tokens: int | None = None,
        threads: int | None = None,
    ) -> None:
        require("torch")
        self.model: StatesModel = load_model(name, threads=threads)  # type: ignore[assignment]
        self._name, self._prompt, self._passage_tokens = name, prompt, passage_tokens
        self.layers = tuple(sorted({max(1, round(share * self.model.layers)) for share in _SHARES}))
        self.tokens = 0

    @classmethod
    def of(cls, name: str, prompt: Prompt, job: RerankJob) -> Self:
        """The student that learns from a job's teacher: it sees as much of a passage."""
        config = job.config
        return cls(
            name,
            prompt,
            passage_tokens=config.judge.passage_tokens,
            threads=config.model.threads,
        )

    def states(
        self, passages: Sequence[tuple[Query, Document]], progress: Progress = no_progress
    ) -> npt.NDArray[np.float32]:
        """Reads passages, each once.

        Returns:
            The states of all ``layers`` at the last token of each prompt, one after another; shape
            (passages, layers times hidden size).

        Raises:
            ModelError: a query leaves no room for a passage, or the model has no layers to read.
        """
        requests = [self.shown(query, document) for query, document in passages]
        found: list[npt.NDArray[np.float32] | None] = [None] * len(requests)
        with progress(f"reading with {self._name}", len(requests)) as advance:
            for batch in self.model.plan(requests):
                states, usage = self.model.last_states([requests[i] for i in batch], self.layers)
                for index, state in zip(batch, states, strict=True):
                    found[index] = state.ravel()
                self.tokens += usage.tokens
                advance(len(batch))
        return np.stack([state for state in found if state is not None])

    def shown(self, query: Query, document: Document) -> Request:
        """The prompt with a passage, which is truncated to fit, as a head's judge does."""
        text = self.model.escape(query.text)
        used = self.model.length(self._request(text, ""))
        space = self.model.context_length - used - _SPARE_TOKENS
        if space < 1:
            raise ModelError(
                f"query {query.id} leaves no room for a passage: prompt and query take {used} of "
                f"the {self.model.context_length} tokens of {self._name}"
            )
        tokens = min(space, self._passage_tokens or space)
        return self._request(text, self.model.truncate(self.model.escape(document.text), tokens))

    def _request(self, query: str, passage: str) -> Request:
        text = self._prompt.text.fill(query=query, passage=passage)
        return Request(text, chat=self._prompt.chat)
