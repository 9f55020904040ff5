"""Asks a model only what the journal does not know, and counts what it cost."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from rankprompt.journal import Journal, chunk_name, key
from rankprompt.models.base import Answer, LanguageModel, Request

__all__ = ["Answering", "Costs"]


@dataclass
class Costs:
    """What has been asked so far.

    Attributes:
        prompts: asked of the model.
        prompts_from_journal: answered by the journal instead (identical prompts in one chunk count
            once).
        batches: model batches.
        tokens: that the model processed, without padding.
        padding: tokens processed beside them.
        reused: tokens that were not run again, being the start of an earlier prompt, too.
        seconds: spent in the model.
    """

    prompts: int = 0
    prompts_from_journal: int = 0
    batches: int = 0
    tokens: int = 0
    padding: int = 0
    reused: int = 0
    seconds: float = 0.0


class Answering:
    """Answers chunks of requests from the journal and, for the rest, the model.

    A chunk's batches are planned from the requests that no earlier chunk has answered, whether or
    not they are in the journal by now. So a resumed run forms the very batches that the killed one
    would have formed, and its numbers are the same to the last bit, although a real model's answer
    may vary with its batch.

    Args:
        model: answers what is new.
        journal: keeps all answers.
    """

    def __init__(self, model: LanguageModel, journal: Journal) -> None:
        self.model, self.journal = model, journal
        self.costs = Costs()

    def __call__(self, requests: Sequence[Request]) -> tuple[list[Answer], list[bool]]:
        """Answers one chunk.

        Returns:
            The answers, and whether each came from the journal, in the order of ``requests``.
        """
        keys = [key(self.model.fingerprint, request) for request in requests]
        by_key = dict(zip(keys, requests, strict=True))
        chunk = chunk_name(by_key)
        kept = self.journal.get(list(by_key))
        known = {name: entry.answer for name, entry in kept.items()}
        planned = [name for name in by_key if name not in kept or kept[name].chunk == chunk]
        if len(known) < len(by_key):
            for batch in self.model.plan([by_key[name] for name in planned]):
                new = [planned[i] for i in batch if planned[i] not in kept]
                # Another process that shares the journal may have been here meanwhile.
                if new and (found := self.journal.get(new)):
                    known |= {name: entry.answer for name, entry in found.items()}
                    kept |= found
                    new = [name for name in new if name not in found]
                if new:
                    known |= self._ask(new, by_key, chunk)
        self.costs.prompts_from_journal += len(kept)
        return [known[name] for name in keys], [name in kept for name in keys]

    def _ask(
        self, names: Sequence[bytes], by_key: dict[bytes, Request], chunk: bytes
    ) -> dict[bytes, Answer]:
        start = time.perf_counter()
        answers, usage = self.model.answer([by_key[name] for name in names])
        self.costs.seconds += time.perf_counter() - start
        found = dict(zip(names, answers, strict=True))
        self.journal.put(found, chunk=chunk, tokens=usage.tokens, padding=usage.padding)
        self.costs.prompts += len(names)
        self.costs.batches += 1
        self.costs.tokens += usage.tokens
        self.costs.padding += usage.padding
        self.costs.reused += usage.reused
        return found
