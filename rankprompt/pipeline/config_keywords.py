"""Options of a configuration as keywords of Python functions: names and types are checked."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from numbers import Integral, Real
from pathlib import Path
from types import NoneType
from typing import Any, TypeAlias, TypeVar, get_args, get_origin, get_type_hints

from rankprompt.errors import InputError
from rankprompt.pipeline.config import RerankConfig
from rankprompt.pipeline.config_file import (
    load_config,
    load_manifest,
    replace_options,
    replace_options_of_run,
)
from rankprompt.pipeline.config_option import check_number, option_name

__all__ = ["ConfigSource", "check_names", "config_from", "config_from_options", "convert_value"]

C = TypeVar("C")

ConfigSource: TypeAlias = RerankConfig | str | os.PathLike[str]
"""A configuration, or a TOML file with one, or the manifest (.json) of an earlier run."""

_NOUNS: Mapping[type, str] = {
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    str: "a text",
    Path: "a path",
}


def config_from_options(base: C, options: Mapping[str, Any]) -> C:
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
    return replace_options(base, _convert(type(base), options))


def config_from(source: ConfigSource | None, options: Mapping[str, Any]) -> RerankConfig:
    """Gives the configuration of a file, with some of its options replaced.

    Args:
        source: a configuration, a TOML file, or the manifest of an earlier run, whose name ends in
            .json; None for the defaults.
        options: as for ``config_from_options``.

    Raises:
        InputError: as ``config_from_options``, or the file cannot be read.
    """
    converted = _convert(RerankConfig, options)
    if source is None or isinstance(source, RerankConfig):
        return replace_options(source or RerankConfig(), converted)
    if not isinstance(source, str | os.PathLike):
        kind = type(source).__name__
        raise InputError(f"`config` must be a RerankConfig or the path of a file, not {kind}")
    path = Path(source)
    if path.suffix == ".json":
        return replace_options_of_run(load_manifest(path), converted)
    return replace_options(load_config(path), converted)


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
        hint: the type: one of bool, int, float, str and Path, with or without None, a number or a
            text, or a tuple of one of them, for which a list or a single value may stand.

    Raises:
        InputError: a value of another type, an empty path, or a number that no option can mean.
    """
    check_number(name, value)
    if get_origin(hint) is tuple:
        return _convert_all(name, value, get_args(hint))
    kinds = get_args(hint) or (hint,)
    if value is None and NoneType in kinds:
        return None
    # A text beside a number is a word for one, such as "auto"; which, is checked with the bounds.
    word = isinstance(value, str) and str in kinds
    kind: Any = str if word else next(kind for kind in kinds if kind is not NoneType)
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
    # What is no text or number is not shown: it may hold a secret.
    plain = value is None or isinstance(value, str | Real)
    found = f"{value!r:.80}" if plain else type(value).__name__
    raise InputError(f"`{name}` must be {_NOUNS[kind]}, not {found}")


def _convert(config: type, options: Mapping[str, Any]) -> dict[str, Any]:
    types = dict(_types(config))
    check_names(options, types)
    return {name: convert_value(name, value, types[name]) for name, value in options.items()}


def _convert_all(name: str, value: object, kinds: tuple[Any, ...]) -> tuple[Any, ...]:
    values = value if isinstance(value, list | tuple) else (value,)
    if Ellipsis not in kinds and len(values) != len(kinds):
        raise InputError(f"`{name}` must be {len(kinds)} values, not {len(values)}")
    return tuple(convert_value(name, one, kinds[0]) for one in values)


def _types(group: type) -> Iterable[tuple[str, Any]]:
    hints = get_type_hints(group)
    for field in fields(group):
        hint = hints[field.name]
        if is_dataclass(hint):
            yield from _types(hint)  # type: ignore[arg-type]
        else:
            yield option_name(field), hint
