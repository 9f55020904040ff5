"""Resolves a model's name to its files; imports nothing heavy."""

from rankprompt.errors import ModelError
from rankprompt.files.home import expand

__all__ = ["first_line", "locate", "quieten_transformers"]


def locate(name: str) -> tuple[str, dict[str, str]]:
    """Resolves a folder, a ``.gguf`` file or a hub id for the ``from_pretrained`` of transformers.

    Returns:
        The source, and the keyword arguments that go with it.

    Raises:
        ModelError: the name is a path that does not exist.
    """
    path = expand(name)
    if path.is_file():
        return str(path.parent), {"gguf_file": path.name}
    if path.is_dir():
        return str(path), {}
    if name.endswith(".gguf") or path.is_absolute() or name.startswith((".", "~")):
        raise ModelError(f"model {name!r}: no such file or folder")
    return name, {}


def quieten_transformers() -> None:
    """Switches off the progress bars and hints of transformers, which would break into ours."""
    from transformers import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()


def first_line(error: BaseException) -> str:
    """Returns the first line of another library's error that is not blank."""
    return next((line for line in str(error).splitlines() if line.strip()), repr(error))
