"""Tokens of texts, by a model's tokenizer alone: its weights stay on the disk."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rankprompt.errors import ModelError

__all__ = ["counter"]


def counter(name: str, *, trust_remote_code: bool = False) -> Callable[[Sequence[str]], list[int]]:
    """Gives a function that counts the tokens of texts, in the same order, without special ones.

    Args:
        name: a folder, a ``.gguf`` file or a hub id.
        trust_remote_code: run code that comes with the tokenizer; never on by default.

    Raises:
        ModelError: the tokenizer cannot be loaded.
    """
    from transformers import AutoTokenizer

    path = Path(name).expanduser()
    where: dict[str, Any] = {"trust_remote_code": trust_remote_code}
    source = str(path) if path.exists() else name
    if path.is_file():
        source, where["gguf_file"] = str(path.parent), path.name
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, **where)
    except Exception as error:  # whatever a broken file makes transformers raise
        reason = next((line for line in str(error).splitlines() if line.strip()), repr(error))
        raise ModelError(f"cannot load the tokenizer of {name!r}: {reason}") from error
    # A text may be longer than the model reads; that is what is asked.
    tokenizer.model_max_length = 10**9

    def count(texts: Sequence[str]) -> list[int]:
        if not texts:
            return []
        return list(map(len, tokenizer(list(texts), add_special_tokens=False)["input_ids"]))

    return count
