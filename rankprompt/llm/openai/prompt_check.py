"""Notices a server that shortens prompts without a word, as Ollama does at its ``num_ctx``."""

import logging
import re

from rankprompt.llm.openai.retrying_client import JsonObject
from rankprompt.llm.openai.schema import count_in

__all__ = ["PromptCheck", "fewest_tokens"]

log = logging.getLogger("rankprompt")

_WORD = re.compile(r"\S*\w\S*")
_IDEOGRAPH = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")
# Even vocabularies with tokens of several words need more than this many tokens a word.
_TOKENS_PER_WORD = 0.7
_IDEOGRAPHS_PER_TOKEN = 3.5
# Below this many tokens, a server may report a number that stands for nothing.
_COUNTED = 256


def fewest_tokens(text: str) -> int:
    """Returns how many tokens a text has at least, whatever the tokenizer."""
    ideographs = len(_IDEOGRAPH.findall(text))
    words = len(_WORD.findall(_IDEOGRAPH.sub(" ", text)))
    return int(words * _TOKENS_PER_WORD + ideographs / _IDEOGRAPHS_PER_TOKEN)


class PromptCheck:
    """Compares the prompt tokens that a server reports with what its prompts have at least.

    Args:
        name: the model's name, for the warning.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._most = 0
        self._warned = False

    def is_shortened(self, prompt: str, reply: JsonObject) -> bool:
        """Whether the server read much less than the prompt; the first time, warns of it."""
        read = count_in(reply, "prompt_tokens")
        if not read:
            return False
        # Some servers do not count what they have kept from an earlier prompt, and most say so.
        read += count_in(reply, "prompt_tokens_details", "cached_tokens") or 0
        read += count_in(reply, "cache_read_input_tokens") or 0
        self._most = max(self._most, read)
        # Quick, and enough for nearly all prompts: no more words than parts between spaces.
        if prompt.isascii() and read >= _TOKENS_PER_WORD * len(prompt.split()):
            return False
        least = fewest_tokens(prompt)
        suspicious = read < least if read >= _COUNTED else 5 * read < least and least - read > 64
        # A server shortens to one length; where it has read twice as many, it keeps prompts.
        if not suspicious or 2 * read < self._most:
            return False
        if not self._warned:
            self._warned = True
            log.warning(
                "%s read %d tokens of a prompt of at least %d: the server shortens prompts. Raise "
                "its context length (Ollama: num_ctx), or lower `passage_tokens`",
                self._name, read, least,
            )  # fmt: skip
        return True
