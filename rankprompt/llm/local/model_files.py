"""Resolves a model's name to its files; imports nothing heavy."""

import re
from collections.abc import Mapping

from rankprompt.errors import ModelError
from rankprompt.files.home import expand

__all__ = ["check_config", "check_counts", "first_line", "locate", "quieten_transformers"]

_COUNT = re.compile("(layers?|experts|depth)$")
_MOST = 10_000


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


def check_config(source: str, **where: bool) -> None:
    """Checks a model's ``config.json`` by ``check_counts``, before transformers builds from it.

    Args:
        source: a folder or a hub id.
        where: further arguments for transformers.

    Raises:
        ValueError: as ``check_counts``.
        OSError: there is no ``config.json``, or it is damaged.
    """
    from transformers import PretrainedConfig

    check_counts(PretrainedConfig.get_config_dict(source, **where)[0])


def check_counts(settings: Mapping[str, object]) -> None:
    """Refuses counts of layers and experts that no model has, and whose building would not end.

    Raises:
        ValueError: a count is above 10,000; the message names its key.
    """
    for key, value in settings.items():
        if isinstance(value, Mapping):  # such as text_config
            check_counts(value)
        elif _COUNT.search(str(key)) and isinstance(value, int | float) and value > _MOST:
            raise ValueError(f"config.json: {key} is {value}, more than {_MOST:,}")


def quieten_transformers() -> None:
    """Switches off the progress bars and hints of transformers, which would break into ours."""
    from transformers import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()


def first_line(error: BaseException) -> str:
    """Returns the first line of another library's error that is not blank."""
    return next((line for line in str(error).splitlines() if line.strip()), repr(error))
