"""Where a model's name leads, and its tokenizer, without its weights; imports nothing heavy."""

from pathlib import Path
from typing import Any

from rankprompt.errors import ModelError

__all__ = ["first_line", "load_tokenizer", "locate", "quieten_transformers"]


def locate(name: str) -> tuple[str, dict[str, str]]:
    """What transformers is to be asked for.

    Args:
        name: a folder, a ``.gguf`` file, or a hub id such as ``org/model``.

    Returns:
        The source, and the keyword arguments that go with it.

    Raises:
        ModelError: the name is a path, and nothing is there.
    """
    path = Path(name).expanduser()
    if path.is_file():
        return str(path.parent), {"gguf_file": path.name}
    if path.is_dir():
        return str(path), {}
    if name.endswith(".gguf") or path.is_absolute() or name.startswith((".", "~")):
        raise ModelError(f"model {name!r}: no such file or folder")
    return name, {}


def load_tokenizer(name: str, *, trust_remote_code: bool = False) -> Any:
    """Loads a model's tokenizer by transformers; a text may be longer than the model reads.

    Args:
        name: as for ``locate``.
        trust_remote_code: run code that comes with the tokenizer; never on by default.

    Raises:
        ModelError: it cannot be loaded.
    """
    from transformers import AutoTokenizer

    source, where = locate(name)
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            source, trust_remote_code=trust_remote_code, **where
        )
    except Exception as error:  # whatever a broken file makes transformers raise
        raise ModelError(f"cannot load the tokenizer of {name!r}: {first_line(error)}") from error
    tokenizer.model_max_length = 10**9
    return tokenizer


def quieten_transformers() -> None:
    """Silences the bars and hints of transformers, which would break into our progress line."""
    from transformers import logging as transformers_logging

    hints: Any = transformers_logging
    hints.disable_progress_bar()
    hints.set_verbosity_error()


def first_line(error: BaseException) -> str:
    """The first line of another library's error that says something."""
    return next((line for line in str(error).splitlines() if line.strip()), repr(error))
