"""Pairwise ranking by plain transformers, the baseline of ``benchmarks.engine``.

The loop and the sliding window are those that llm-rankers has published, in our own words.
"""

from collections.abc import Sequence
from typing import TypeVar

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rankprompt import PairwiseQuestion
from rankprompt.judges.adapters.pairwise import pairwise_adapter
from rankprompt.llm.base import Request
from rankprompt.llm.local.chat_template import ChatTemplate
from rankprompt.llm.local.encoding import encode
from rankprompt.prompts.prompt import load_prompt
from rankprompt.rankers.base import prefers
from rankprompt.rankers.coroutines import QuestionGenerator
from rankprompt.types import Preference

__all__ = ["Plain", "sliding"]

T = TypeVar("T")


class Plain:
    """A judge by transformers alone, which puts so many prompts at a time, padded."""

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompt: str, size: int
    ) -> None:
        self._model, self._tokenizer, self._size = model, tokenizer, size
        self._adapter = pairwise_adapter(load_prompt(prompt), "scoring")
        self._chat = ChatTemplate(tokenizer, "plain") if tokenizer.chat_template else None
        self.prompts = self.batches = self.tokens = self.padding = 0

    def __call__(self, questions: Sequence[PairwiseQuestion]) -> list[float]:
        requests = [
            request
            for query, first, second in questions
            for shown in ([first.text, second.text], [second.text, first.text])
            for request in self._adapter.requests(query.text, shown)
        ]
        ahead = [
            answer
            for start in range(0, len(requests), self._size)
            for answer in self._judge(requests[start : start + self._size])
        ]
        return [
            0.5 if one == other else float(one)
            for one, other in zip(ahead[0::2], ahead[1::2], strict=True)
        ]

    def _judge(self, requests: Sequence[Request]) -> list[bool]:
        encoded = [encode(self._tokenizer, request, chat=self._chat) for request in requests]
        rows = [[*request.context, *request.rows[0].stem] for request in encoded]
        longest = max(map(len, rows))
        pad = self._tokenizer.pad_token_id
        ids = torch.tensor([[pad] * (longest - len(row)) + row for row in rows])
        mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
        with torch.inference_mode():
            logits = self._model(input_ids=ids, attention_mask=mask, logits_to_keep=1).logits[:, -1]
        labels = dict(encoded[0].rows[0].lasts)
        self.prompts += len(rows)
        self.batches += 1
        self.tokens += sum(map(len, rows))
        self.padding += ids.numel() - sum(map(len, rows))
        found: list[bool] = (logits[:, labels[0]] > logits[:, labels[1]]).tolist()
        return found


def sliding(items: Sequence[T], passes: int) -> QuestionGenerator[tuple[T, T], Preference, list[T]]:
    """Passes from the bottom, each from where the one before first swapped, as llm-rankers does."""
    ranking, end = list(items), len(items) - 1
    for top in range(passes):
        swapped = False
        for place in range(end, top, -1):
            if (yield from prefers(ranking[place], ranking[place - 1])):
                ranking[place - 1], ranking[place] = ranking[place], ranking[place - 1]
                if not swapped:
                    end = min(place + 1, len(items) - 1)
                    swapped = True
        if not swapped:
            break
    return ranking
