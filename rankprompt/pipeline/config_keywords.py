"""Options of a configuration as keywords of Python functions: names and types are checked."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from numbers import Integral, Real
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

from rankprompt.errors import InputError
from rankprompt.pipeline.config import RerankConfig
from rankprompt.pipeline.config_file import replace_options
from rankprompt.pipeline.config_option import check_number

__all__ = ["check_names", "config_from_options", "convert_options", "convert_value"]

_NOUNS: Mapping[type, str] = {
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    str: "a text",
    Path: "a path",
}


def config_from_options(base: RerankConfig, options: Mapping[str, Any]) -> RerankConfig:
    """Replaces options of a configuration, given by the names that the command line has for them.

    Values have the types of the fields. A path may be a text and a text a path, a whole number
    stands for a floating-point number too, and where the command line repeats an option, a list of
    texts or a single text may be given.

    >>> config = config_from_options(RerankConfig(), {"depth": 20, "run": "bm25.trec"})
    >>> config.data.depth, config.data.run.name
    (20, 'bm25.trec')

    Args:
        base: gives the values of the options that are left out.
        options: values by names such as ``batch_tokens`` for ``--batch-tokens``.

    Raises:
        InputError: an unknown name, for which the nearest is offered, or a value of another type.
            Bounds and choices are checked when the configuration is validated.
    """
    return replace_options(base, convert_options(options))


def convert_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Checks options as ``config_from_options`` does, and converts their values."""
    types = dict(_types(RerankConfig))
    check_names(options, types)
    return {name: convert_value(name, value, types[name]) for name, value in options.items()}


def check_names(options: Iterable[str], known: Iterable[str]) -> None:
    """Checks the names of options.

    Raises:
        InputError: a name is unknown; the message offers the nearest.
    """
    names = sorted(known)
    for name in options:
        if name not in names:
            near = get_close_matches(name.lower(), names, n=1, cutoff=0.5)
            hint = f"did you mean `{near[0]}`?" if near else f"known: {', '.join(names)}"
            raise InputError(f"unknown option `{name}`; {hint}")


def convert_value(name: str, value: object, hint: Any) -> Any:
    """Checks a value against the type of its field, and converts what stands for that type.

    Args:
        name: of the option, for messages.
        value: what was given.
        hint: the type: one of bool, int, float, str and Path, with or without None, or a tuple of
            texts.

    Raises:
        InputError: a value of another type, an empty path, or a number that no option can mean.
    """
    check_number(name, value)
    if hint == tuple[str, ...]:
        texts = (value,) if isinstance(value, str) else value
        if not isinstance(texts, list | tuple):
            texts = (texts,)
        wrong = [type(text).__name__ for text in texts if not isinstance(text, str)]
        if wrong:  # the values themselves may be secrets
            raise InputError(f"`{name}` must be a text or a list of texts, not {wrong[0]}")
        return tuple(texts)
    kinds = get_args(hint) or (hint,)
    if value is None and NoneType in kinds:
        return None
    (kind,) = (kind for kind in kinds if kind is not NoneType)
    if kind is Path and isinstance(value, str | os.PathLike):
        if not os.fspath(value):  # which would be the current folder
            raise InputError(f"`{name}` is empty; leave it out")
        return Path(value)
    if kind is str and isinstance(value, Path):  # a model's folder, a prompt's file
        return str(value)
    # A truth value is a number to Python; the numbers of numpy are numbers, too.
    if not isinstance(value, bool) and isinstance(
        value, {int: Integral, float: Real}.get(kind, ())
    ):
        return kind(value)
    if kind not in (int, float) and isinstance(value, kind):
        return value
    raise InputError(f"`{name}` must be {_NOUNS[kind]}, not {value!r:.80}")


def _types(group: type) -> Iterable[tuple[str, Any]]:
    hints = get_type_hints(group)
    for field in fields(group):
        hint = hints[field.name]
        if is_dataclass(hint):
            yield from _types(hint)  # type: ignore[arg-type]
        else:
            yield field.metadata["option"].flag or field.name, hint
