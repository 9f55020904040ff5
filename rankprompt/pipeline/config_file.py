"""Configurations as files: TOML that a user writes, and the manifest of an earlier run."""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from rankprompt.errors import InputError
from rankprompt.files.json_schema import parse_as, parse_json, read_text
from rankprompt.files.manifest import FORMS, describe_file
from rankprompt.files.toml import read_toml
from rankprompt.pipeline.config import RerankConfig
from rankprompt.pipeline.config_option import iterate_options, option_name
from rankprompt.pipeline.server_fields import LOCAL_FIELDS
from rankprompt.pipeline.unused_options import source_of
from rankprompt.rankers import method
from rankprompt.types import PairwiseQuestion

__all__ = [
    "as_dict",
    "config_from_dict",
    "load_config",
    "load_manifest",
    "replace_options",
    "replace_options_of_run",
]

log = logging.getLogger("rankprompt")

C = TypeVar("C")


def as_dict(config: RerankConfig) -> dict[str, Any]:
    """A configuration as nested dictionaries that JSON and TOML can hold.

    Paths are texts, and secrets are hidden.
    """
    hidden = {
        given.name: tuple(map(given.about.hide, given.value))
        for given in iterate_options(config)
        if given.about.hide
    }
    content: dict[str, Any] = asdict(
        replace_options(config, hidden),
        dict_factory=lambda items: {
            name: str(value)
            if isinstance(value, Path)
            else list(value)
            if isinstance(value, tuple)
            else value
            for name, value in items
        },
    )
    return content


def config_from_dict(content: Mapping[str, Any], source: str) -> RerankConfig:
    """The configuration that nested dictionaries describe; fields left out have their defaults.

    Args:
        content: as ``as_dict`` gives it.
        source: the file, for messages.

    Raises:
        InputError: an unknown group or field, or a value of another type.
    """
    _check_names(RerankConfig(), content, source, "")
    content = _with_lists(RerankConfig(), content)
    try:
        # As JSON: pydantic is strict with its types, and yet takes a text for a path.
        return parse_as(RerankConfig, json.dumps(content, allow_nan=False))
    except (ValueError, TypeError, RecursionError) as error:  # TypeError: a date of TOML
        raise InputError(f"{source}: {error}") from error


def load_config(path: Path) -> RerankConfig:
    """Reads a configuration from a TOML file, with a table for each group.

    Relative paths are those of the current folder, as on the command line.

    Raises:
        InputError: the file cannot be read, or as ``config_from_dict``.
    """
    return read_toml(path, partial(config_from_dict, source=str(path)))


@dataclass(frozen=True)
class _Input:
    path: str
    bytes: int
    blake2b: str


@dataclass(frozen=True)
class _Inputs:
    inputs: dict[str, _Input | list[_Input]]


def load_manifest(path: Path) -> RerankConfig:
    """Reads the configuration of a run from its manifest, to make the run again.

    A warning names each input that has changed since.

    Raises:
        InputError: the file cannot be read, or is no manifest of a reranking.
    """
    text = read_text(path)
    try:
        content = parse_json(text)
    except ValueError as error:
        raise InputError(f"{path}: not a manifest: {error}") from error
    if not isinstance(content, dict) or content.get("form") not in FORMS:
        raise InputError(f"{path}: not a manifest of rankprompt")
    if isinstance(content.get("config"), dict):
        config = config_from_dict(content["config"], str(path))
    elif isinstance(content.get("settings"), dict) and "model" in content["settings"]:
        config = _from_settings(content["settings"], str(path))
    else:
        raise InputError(f"{path}: the manifest of another command than rerank")
    try:
        inputs = parse_as(_Inputs, text).inputs if "inputs" in content else {}
    except ValueError as error:
        raise InputError(f"{path}: not a manifest: {error}") from error
    for described in inputs.values():
        for file in described if isinstance(described, list) else [described]:
            _warn_of_change(file)
    if not config.stage and source_of(config.model.name)[0] == "server":
        # Earlier versions wrote them although they play no part there.
        unset = {one.name: one.default for one in iterate_options(config)}
        config = replace_options(config, {name: unset[name] for name in LOCAL_FIELDS})
    return config


def replace_options(config: C, options: Mapping[str, Any]) -> C:
    """A configuration with the values of some options replaced; others' names are left alone."""
    changes = {}
    for field in fields(config):  # type: ignore[arg-type]
        value = getattr(config, field.name)
        if is_dataclass(value):
            changes[field.name] = replace_options(value, options)
        elif (name := option_name(field)) in options:
            changes[field.name] = options[name]
    return replace(config, **changes)  # type: ignore[type-var]


def replace_options_of_run(config: RerankConfig, options: Mapping[str, Any]) -> RerankConfig:
    """The configuration of an earlier run, as ``load_manifest`` reads it, with options replaced.

    Where the run is written to another file, the table of scores of the earlier run is left alone.
    """
    if options.get("output", config.output.run) != config.output.run:
        options = {"scores": None, **options}
    return replace_options(config, options)


def _check_names(config: Any, content: object, source: str, where: str) -> None:
    if not isinstance(content, Mapping):
        raise InputError(f"{source}: {where.rstrip('.')} must be a table of fields")
    known = {field.name: getattr(config, field.name) for field in fields(config)}
    paths = {field.name for field in fields(config) if field.type == Path | None}
    for name, value in content.items():
        if name not in known:
            near = get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"did you mean {where}{near[0]}?" if near else f"known: {', '.join(known)}"
            raise InputError(f"{source}: unknown field {where}{name}; {hint}")
        if name in paths and value == "":  # which would be the current folder
            raise InputError(f"{source}: {where}{name} is empty; leave it out")
        if is_dataclass(known[name]):
            _check_names(known[name], value, source, f"{where}{name}.")


def _with_lists(config: Any, content: Mapping[str, Any]) -> dict[str, Any]:
    """Puts a single text into a list where a field takes several, as earlier versions wrote one."""
    made = dict(content)
    for name, value in content.items():
        default = getattr(config, name)
        if is_dataclass(default):
            made[name] = _with_lists(default, value)
        elif isinstance(default, tuple) and (value is None or isinstance(value, str)):
            made[name] = [value] if value else []
    return made


def _from_settings(settings: Mapping[str, Any], source: str) -> RerankConfig:
    """The configuration of a manifest of form 1, whose settings were not grouped."""
    known = {given.name for given in iterate_options(RerankConfig())}
    flat = {name: value for name, value in settings.items() if name in known and value is not None}
    name = flat.get("method")
    if (
        isinstance(name, str)
        and name != "cascade"
        and method(name).question is not PairwiseQuestion
    ):
        # They were filled in although only pairs have them.
        flat = {name: value for name, value in flat.items() if name not in ("decide", "prior")}
    return config_from_dict(as_dict(replace_options(RerankConfig(), flat)), source)


def _warn_of_change(file: _Input) -> None:
    path = Path(file.path)
    try:
        changed = path.is_file() and describe_file(path)["blake2b"] != file.blake2b
    except OSError:  # what cannot be read is reported when it is read
        return
    if changed:
        log.warning("%s has changed since the manifest was written", file.path)
