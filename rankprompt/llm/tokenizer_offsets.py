"""Offsets and counts of a text's tokens: by a model's tokenizer without the model, or by words."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from rankprompt.errors import ModelError
from rankprompt.files.home import expand
from rankprompt.llm.adapter_folders import resolve_adapted
from rankprompt.llm.local.hub_folders import hub_options
from rankprompt.llm.local.model_files import first_line, locate

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerBase

__all__ = [
    "Offsets", "load_by_transformers", "load_tokenizer", "model_offsets", "token_counter",
    "word_offsets",
]  # fmt: skip

Offsets: TypeAlias = Callable[[str], Sequence[tuple[int, int]]]
"""Returns (start, end) of each token of a text, in characters, in order, without special tokens."""

# In scripts without spaces, every character counts as a word.
_WORDS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\u3040-\u30ff\u3400-\u9fff]+|[^\w\s]")


def word_offsets(text: str) -> list[tuple[int, int]]:
    """Offsets of words, punctuation marks, and Chinese and Japanese characters, as tokens."""
    return [match.span() for match in _WORDS.finditer(text)]


def model_offsets(name: str) -> Offsets:
    """Returns the offsets function of a model's tokenizer; the weights are not loaded.

    Args:
        name: as for ``load_model``, or a folder with a ``tokenizer.json``.

    Raises:
        ModelError: the tokenizer cannot be loaded, or does not know offsets.
    """
    from rankprompt.llm.embedded import resolve

    name, _ = resolve_adapted(name, None)
    folder = expand(resolve(name))
    if (folder / "tokenizer.json").is_file():
        fast = load_tokenizer(folder)
        return lambda text: fast.encode(text, add_special_tokens=False).offsets
    tokenizer = load_by_transformers(name)
    if not tokenizer.is_fast:
        raise ModelError(
            f"the tokenizer of {name!r} does not tell where its tokens stand; "
            "give a model with a tokenizer.json"
        )

    return lambda text: tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)[
        "offset_mapping"
    ]


def token_counter(name: str) -> Callable[[Sequence[str]], list[int]]:
    """Returns a function that counts the tokens of texts, in order, without special tokens.

    Args:
        name: as for ``load_model``; only the tokenizer is loaded.

    Raises:
        ModelError: the tokenizer cannot be loaded.
    """
    from rankprompt.llm.embedded import resolve

    tokenizer = load_by_transformers(resolve(name))

    return lambda texts: (
        [len(ids) for ids in tokenizer(list(texts), add_special_tokens=False).input_ids]
        if texts
        else []
    )


def load_tokenizer(folder: Path) -> "Tokenizer":
    """Loads a folder's ``tokenizer.json``, with truncation and padding switched off.

    Raises:
        ModelError: it is missing or cannot be read.
    """
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json"
    if not path.is_file():
        raise ModelError(f"{str(folder)!r}: expected a folder with a tokenizer.json")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises bare exceptions
        raise ModelError(f"cannot read {path}: {first_line(error):.300}") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def load_by_transformers(name: str) -> "PreTrainedTokenizerBase":
    """Loads the tokenizer that transformers chooses for a model; no code that comes with it runs.

    Args:
        name: as for ``load_model``.

    Raises:
        ModelError: it cannot be loaded.
    """
    from transformers import AutoTokenizer

    source, gguf = locate(name)
    where: dict[str, Any] = {} if Path(source).is_dir() else hub_options(source)
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False, **gguf, **where)
    except Exception as error:  # a damaged file makes transformers raise all kinds of exceptions
        raise ModelError(f"cannot load the tokenizer of {name!r}: {first_line(error)}") from error
    tokenizer.model_max_length = 10**9  # no warning about texts that the model could not read
    return tokenizer
