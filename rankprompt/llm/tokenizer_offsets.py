"""Where a text's tokens stand in it: by a model's tokenizer, or by words where there is none."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from rankprompt.errors import ModelError
from rankprompt.llm.local import model_files as sources

__all__ = ["Offsets", "model_offsets", "word_offsets"]

Offsets: TypeAlias = Callable[[str], Sequence[tuple[int, int]]]
"""Gives (start, end) of each token of a text, in characters, in order, without special tokens."""

# Scripts without spaces: every character counts as a word.
_WORDS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\u3040-\u30ff\u3400-\u9fff]+|[^\w\s]")


def word_offsets(text: str) -> list[tuple[int, int]]:
    """Words, punctuation marks, and Chinese and Japanese characters, in place of tokens."""
    return [found.span() for found in _WORDS.finditer(text)]


def model_offsets(name: str) -> Offsets:
    """The offsets that a model's own tokenizer gives; its weights stay on the disk.

    Args:
        name: as for ``load_model``, or a folder with a ``tokenizer.json``.

    Raises:
        ModelError: the tokenizer cannot be loaded, or tells no offsets.
    """
    from rankprompt.llm import embedded

    folder = embedded.converted() if name == embedded.EMBEDDED else Path(name).expanduser()
    if (folder / "tokenizer.json").is_file():
        tokenizer = load_tokenizer(folder)

        def offsets(text: str) -> list[tuple[int, int]]:
            found: list[tuple[int, int]] = tokenizer.encode(text, add_special_tokens=False).offsets
            return found

        return offsets
    return _by_transformers(name)


def load_tokenizer(folder: Path) -> Any:
    """Loads a folder's ``tokenizer.json``, so that it neither cuts nor pads.

    Raises:
        ModelError: it is missing or cannot be read.
    """
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json"
    if not path.is_file():
        raise ModelError(f"{str(folder)!r}: expected a folder with a tokenizer.json")
    try:
        tokenizer: Any = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises bare exceptions
        raise ModelError(f"cannot read {path}: {error}") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _by_transformers(name: str) -> Offsets:
    tokenizer = sources.load_tokenizer(name)
    if not tokenizer.is_fast:
        raise ModelError(
            f"the tokenizer of {name!r} does not tell where its tokens stand; "
            "give a model with a tokenizer.json"
        )

    def offsets(text: str) -> list[tuple[int, int]]:
        given = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        return [(start, end) for start, end in given["offset_mapping"]]

    return offsets
