"""Reads answers from generated tokens: the text up to the model's end, without its reasoning."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from transformers import PreTrainedTokenizerBase

from rankprompt.llm.base import Answer, Problem, Usage
from rankprompt.llm.local.preparation import special_tokens
from rankprompt.llm.reasoning import has_reasoning, strip_reasoning
from rankprompt.llm.special_tokens import special_token_pattern

__all__ = ["REASONING_TOKENS", "Reading", "TextReader", "write_texts"]

REASONING_TOKENS = 1024
"""Room for the reasoning of a model that reasons although it is told not to, beside its answer."""


class Reading(NamedTuple):
    """An answer, how many tokens were written for it, and whether reasoning was among them."""

    answer: Answer
    tokens: int
    reasoned: bool


class TextReader:
    """Decodes what a model generated.

    Args:
        tokenizer: the model's.
        end_tokens: the tokens that end a text.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, end_tokens: int | list[int] | None
    ) -> None:
        self._tokenizer = tokenizer
        self._ends = end_tokens if isinstance(end_tokens, list) else [end_tokens]
        self._special = special_token_pattern(special_tokens(tokenizer))

    def read(self, generated: Sequence[int], limit: int) -> Reading:
        """Reads an answer.

        Args:
            generated: the tokens after the prompt, until the slowest text of a batch ended.
            limit: how many of them may belong to this text.
        """
        length = min(limit, len(generated))
        end = next((index for index in range(length) if generated[index] in self._ends), length)
        text, reasoned = self._answer_text(list(generated[:end]))
        problem: Problem = "" if end < length else "cut"
        if text is None:
            problem = "thinking"
        elif not text.strip() and not problem:
            problem = "empty"
        shown = text if problem in ("", "cut") else None
        return Reading(Answer(text=shown or "", problem=problem), min(end + 1, length), reasoned)

    def _answer_text(self, tokens: list[int]) -> tuple[str | None, bool]:
        """Returns the text after the reasoning, None if that did not end; and whether there is any.

        The marks of reasoning may be special tokens, which a decoder leaves out.
        """
        whole = str(self._tokenizer.decode(tokens, skip_special_tokens=False))
        if not has_reasoning(whole):
            plain = str(self._tokenizer.decode(tokens, skip_special_tokens=True))
            return strip_reasoning(plain), False
        answer = strip_reasoning(whole)
        if answer is not None and self._special:
            answer = self._special.sub("", answer)
        return answer, True


def write_texts(
    write: Callable[[Sequence[int], Sequence[int]], tuple[list[Reading], Usage]],
    limits: Sequence[int],
    spaces: Sequence[int],
) -> tuple[list[Answer], Usage]:
    """Generates answers; once more, with more room, where the limit came within the reasoning.

    Greedily, the same reasoning is written again, and then all of it.

    Args:
        write: generates for the requests at these indices, up to this many tokens each.
        limits: the most tokens of each request's answer.
        spaces: how many tokens fit into the model's context after each request's prompt.
    """
    readings, usage = write(range(len(limits)), limits)
    rooms = [
        min(limit + REASONING_TOKENS, space) for limit, space in zip(limits, spaces, strict=True)
    ]
    unended = [
        index
        for index, (answer, _, reasoned) in enumerate(readings)
        if reasoned and answer.problem in ("thinking", "cut") and rooms[index] > limits[index]
    ]
    if unended:
        again, more = write(unended, [rooms[index] for index in unended])
        usage = Usage(*map(sum, zip(usage, more, strict=True)))
        for index, reading in zip(unended, again, strict=True):
            readings[index] = reading
    return [reading.answer for reading in readings], usage
