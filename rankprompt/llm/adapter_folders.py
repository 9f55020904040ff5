"""Folders that hold a LoRA adapter alone, given as a model; imports nothing heavy."""

from typing import NamedTuple

from rankprompt.errors import InputError, ModelError
from rankprompt.files.home import expand
from rankprompt.llm.model_folders import read_settings

__all__ = ["CONFIG", "PROMPT", "Adapted", "find_adapted", "own_prompt", "resolve_adapted"]

CONFIG = "adapter_config.json"
"""PEFT's file of an adapter's settings, which name its base model."""
PROMPT = "prompt.toml"
"""The prompt that a model was trained on, in its folder."""


class Adapted(NamedTuple):
    """A model as its base and an adapter.

    Attributes:
        base: the language model's name; empty where the adapter does not tell.
        adapter: the folder of the adapter, as it was given.
    """

    base: str
    adapter: str


def find_adapted(name: str) -> Adapted | None:
    """The base and the adapter of a model that is given as the folder of an adapter.

    Args:
        name: a model's, without a prefix.

    Returns:
        None where the name is no such folder.

    Raises:
        ModelError: the adapter's settings cannot be read.
    """
    folder = expand(name)
    if (folder / "config.json").exists() or not (folder / CONFIG).is_file():
        return None
    base = read_settings(folder / CONFIG).get("base_model_name_or_path")
    return Adapted(base if isinstance(base, str) else "", name)


def resolve_adapted(name: str, adapter: str | None) -> tuple[str, str | None]:
    """The language model and the adapter that are meant by ``model`` and ``adapter``.

    Args:
        name: the model's, without a prefix; it may be the folder of an adapter.
        adapter: a folder or a hub id; None for none.

    Raises:
        InputError: both are adapters.
        ModelError: the adapter does not tell its base model.
    """
    adapted = find_adapted(name)
    if adapted is None:
        return name, adapter
    if adapter is not None:
        raise InputError(
            f"`model` {name} is an adapter, too: give its base, {adapted.base or 'the model'}, as "
            "`model`, and one `adapter`"
        )
    if not adapted.base:
        raise ModelError(
            f"{name} holds an adapter alone, and does not tell its base model: give it as "
            "`adapter`, and as `model` the model that it was trained with"
        )
    return adapted


def own_prompt(name: str) -> str | None:
    """The path of the prompt that a model was trained on, if its folder holds one."""
    path = expand(name) / PROMPT
    return str(path) if path.is_file() else None
