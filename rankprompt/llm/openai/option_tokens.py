"""Reads options as the tokens that follow a chat's template, as a server's tokenizer has them."""

import math
from collections.abc import Mapping
from itertools import takewhile
from typing import NamedTuple

from rankprompt.llm.openai.call_errors import JsonObject
from rankprompt.llm.openai.tokenize_endpoint import TokenizeEndpoint

__all__ = ["TEMPLATE_FIELDS", "OptionTokens", "continued", "read_option_tokens"]

TEMPLATE_FIELDS = ("chat_template", "chat_template_kwargs")
"""What changes how a chat template is filled in."""

# What rounding may leave of a probability.
_LEAST = 1e-12


class OptionTokens(NamedTuple):
    """Options as tokens after the template.

    Attributes:
        tokens: of each option.
        shared: how many tokens all options begin with. They change no choice, so they are scored in
            none.
        texts: the prefixes after which tokens are scored, what is shared first, each as a text that
            begins the assistant's turn; None where a turn that is begun so has other tokens, so
            that a prefix must be sent as tokens.
    """

    tokens: tuple[tuple[int, ...], ...]
    shared: int
    texts: dict[tuple[int, ...], str | None]

    def continuations(self, prefix: tuple[int, ...]) -> list[int]:
        """The tokens that follow a prefix in any option."""
        end = len(prefix)
        return sorted({one[end] for one in self.tokens if one[:end] == prefix and one[end:]})

    def loglikelihood(
        self, option: tuple[int, ...], found: Mapping[tuple[int, ...], float]
    ) -> float:
        """Adds up the log-probabilities of an option's tokens, each after those before it.

        "1" is not meant where "0" follows, if "10" is an option.
        """
        total = sum(found[option[:end]] for end in range(self.shared + 1, len(option) + 1))
        longer = math.fsum(math.exp(found[*option, one]) for one in self.continuations(option))
        return total + math.log(max(1 - longer, _LEAST))


def continued(body: Mapping[str, object], text: str) -> JsonObject:
    """The fields that begin the assistant's turn with a text."""
    if not text:
        return {}
    messages = body["messages"]
    assert isinstance(messages, list)
    return {
        "messages": [*messages, {"role": "assistant", "content": text}],
        "add_generation_prompt": False,
        "continue_final_message": True,
    }


def read_option_tokens(
    endpoint: TokenizeEndpoint, template: Mapping[str, object], options: tuple[str, ...]
) -> OptionTokens | None:
    """Reads options as tokens.

    A turn that is begun with an option must begin as the template lets an answer begin. Where it
    does not (a template that opens the model's reasoning before an answer, and shows none in a
    turn), the option is put after the filled-in template as text.

    Args:
        endpoint: tells tokens.
        template: what the template takes beside the messages.
        options: two or more.

    Returns:
        None where the tokens after the template depend on the option, or two options are the same.

    Raises:
        ValueError: the server does not tell tokens.
    """
    chat: JsonObject = {"messages": [{"role": "user", "content": "?"}], **template}
    start = endpoint.read_chat(chat | {"add_generation_prompt": True})
    # The assistant's turn begins on a new line, as for a local model.
    answers = [option.lstrip() for option in options]

    def in_turn(text: str) -> tuple[int, ...] | None:
        return _after(start, endpoint.read_chat(chat | continued(chat, text)) if text else start)

    tokens = [in_turn(answer) for answer in answers]
    turns = all(tokens)
    if not turns:
        before = endpoint.write(start)
        tokens = [_after(start, endpoint.read(before + answer).ids) for answer in answers]
    read = tuple(one for one in tokens if one)
    if len(set(read)) < len(options):
        return None
    shared = sum(
        1 for _ in takewhile(lambda column: len(set(column)) == 1, zip(*read, strict=False))
    )
    texts: dict[tuple[int, ...], str | None] = {
        one[:end]: None for one in read for end in range(shared, len(one))
    }
    for prefix in texts:
        text = endpoint.write(prefix) if prefix and turns else ""
        if in_turn(text) == prefix:
            texts[prefix] = text
    return OptionTokens(read, shared, texts)


def _after(start: tuple[int, ...], whole: tuple[int, ...]) -> tuple[int, ...] | None:
    return whole[len(start) :] if whole[: len(start)] == start else None
