"""Tokens of texts, by a model's tokenizer alone: its weights stay on the disk."""

from collections.abc import Callable, Sequence

from rankprompt.llm.local.model_files import load_tokenizer

__all__ = ["counter"]


def counter(name: str, *, trust_remote_code: bool = False) -> Callable[[Sequence[str]], list[int]]:
    """Gives a function that counts the tokens of texts, in the same order, without special ones.

    Args:
        name: a folder, a ``.gguf`` file or a hub id.
        trust_remote_code: run code that comes with the tokenizer; never on by default.

    Raises:
        ModelError: the tokenizer cannot be loaded.
    """
    tokenizer = load_tokenizer(name, trust_remote_code=trust_remote_code)

    def count(texts: Sequence[str]) -> list[int]:
        if not texts:
            return []
        return list(map(len, tokenizer(list(texts), add_special_tokens=False)["input_ids"]))

    return count
