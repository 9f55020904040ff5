"""The costs of asking a model: prompts, batches, tokens and seconds."""

from dataclasses import dataclass, fields

from rankprompt.llm.base import Usage

__all__ = ["Costs"]


@dataclass
class Costs:
    """The costs of asking a model so far.

    Attributes:
        prompts: prompts that the model answered.
        prompts_from_journal: prompts that the journal answered instead; identical prompts in the
            same chunk of questions count once.
        batches: model batches; a server's batches are its calls.
        largest_batch: the number of prompts in the largest batch.
        tokens: tokens that the model processed, without padding.
        padding: padding tokens, processed in addition.
        reused: tokens that were not processed again, because an earlier prompt has the same prefix.
        written: the part of ``tokens`` that the model wrote.
        seconds: the time spent in the model; where calls overlap, the sum over calls.
        retries: repetitions of calls that a server did not answer.
    """

    prompts: int = 0
    prompts_from_journal: int = 0
    batches: int = 0
    largest_batch: int = 0
    tokens: int = 0
    padding: int = 0
    reused: int = 0
    written: int = 0
    seconds: float = 0.0
    retries: int = 0

    def add(self, prompts: int, usage: Usage, seconds: float) -> None:
        """Adds a batch.

        Args:
            prompts: the number of prompts in the batch.
            usage: the tokens of the batch.
            seconds: the time that the batch took.
        """
        self.prompts += prompts
        self.batches += 1
        self.largest_batch = max(self.largest_batch, prompts)
        self.tokens += usage.tokens
        self.padding += usage.padding
        self.reused += usage.reused
        self.written += usage.written
        self.retries += usage.retries
        self.seconds += seconds

    def merge(self, more: "Costs") -> None:
        """Adds the costs of another model or process."""
        largest = max(self.largest_batch, more.largest_batch)
        for field in fields(Costs):
            setattr(self, field.name, getattr(self, field.name) + getattr(more, field.name))
        self.largest_batch = largest
