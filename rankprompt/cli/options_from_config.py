"""The options of a command that takes a configuration: one for each field, in panels."""

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, TypeAlias, TypeVar, get_type_hints

import typer

from rankprompt.errors import InputError
from rankprompt.pipeline.config import RerankConfig
from rankprompt.pipeline.config_option import Option, option_name

__all__ = ["takes_config", "takes_rerank_config"]

C = TypeVar("C")

# The panel of each group, in the order of the help page.
_PANELS = {
    "data": "Input",
    "output": "Output",
    "model": "Model",
    "judge": "Questions to the model",
    "ranker": "Method",
    "cascade": "Long documents",
    "oracle": "Simulated judge",
    "budget": "Budget",
    "ray": "Cluster",
}
_CONFIG, _FROM = "config", "from_"


_Decorator: TypeAlias = Callable[[Callable[..., None]], Callable[..., None]]


def takes_rerank_config(*, without: Collection[str] = ()) -> _Decorator:
    """Gives a command an option for each field of ``RerankConfig``, and files to begin with.

    The command is called with the configuration, and with its own options by keyword.

    Args:
        without: names of options that the command does not have.
    """
    parameters = _parameters(RerankConfig(), _PANELS, without, {})
    return _decorate([*parameters, *_FILES], _configure)


def takes_config(
    base: C,
    panels: Mapping[str, str],
    *,
    without: Collection[str] = (),
    described: Mapping[str, Option] | None = None,
) -> _Decorator:
    """Gives a command an option for each described field of a configuration's groups.

    The command is called with the configuration, and with its own options by keyword.

    Args:
        base: has the defaults.
        panels: the panel of each group, in the order of the help page.
        without: names of options that the command does not have.
        described: descriptions by option, in place of the fields' own.
    """

    def configure(options: dict[str, Any]) -> C:
        from rankprompt.pipeline.config_file import replace_options

        return replace_options(base, options)

    return _decorate(list(_parameters(base, panels, without, described or {})), configure)


def _decorate(
    parameters: list[inspect.Parameter], configure: Callable[[dict[str, Any]], Any]
) -> _Decorator:
    def decorate(verb: Callable[..., None]) -> Callable[..., None]:
        names = {parameter.name for parameter in parameters}

        @wraps(verb)
        def command(**given: Any) -> None:
            options = {
                name: tuple(value) if isinstance(value, list) else value
                for name, value in given.items()
                if name in names and value not in (None, [])
            }
            own = {name: value for name, value in given.items() if name not in names}
            verb(configure(options), **own)

        mine = list(inspect.signature(verb).parameters.values())[1:]
        keyword = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in mine]
        # What a command needs comes first on its help page.
        needed = [one for one in keyword if getattr(one.default, "default", None) is ...]
        others = [one for one in keyword if one not in needed]
        signature = inspect.Signature([*needed, *parameters, *others])
        command.__signature__ = signature  # type: ignore[attr-defined]
        command.__annotations__ = {
            parameter.name: parameter.annotation for parameter in signature.parameters.values()
        }
        return command

    return decorate


def _configure(options: dict[str, Any]) -> RerankConfig:
    """The configuration of a file or of the defaults, with the options that were given."""
    from rankprompt.pipeline.config_file import (
        load_config,
        load_manifest,
        replace_options,
        replace_options_of_run,
    )

    file, manifest = options.pop(_CONFIG, None), options.pop(_FROM, None)
    if file and manifest:
        raise InputError("give one of `config` and `from`")
    if manifest:
        return replace_options_of_run(load_manifest(manifest), options)
    return replace_options(load_config(file) if file else RerankConfig(), options)


def _parameters(
    config: Any,
    panels: Mapping[str, str],
    without: Collection[str],
    described: Mapping[str, Option],
) -> Iterable[inspect.Parameter]:
    groups = [(getattr(config, group), panel) for group, panel in panels.items()]
    for group, panel in [*groups, (config, None)]:
        hints = get_type_hints(type(group))
        for field in fields(group):
            name = option_name(field)
            about = described.get(name) or field.metadata.get("option")
            if about is None or is_dataclass(hints[field.name]) or name in without:
                continue
            flags = (f"--{name.replace('_', '-')}",)
            about = _with_default(about, getattr(group, field.name))
            yield _parameter(name, hints[field.name], flags, about, panel)


def _number_or_word(text: str) -> int | str:
    """Parses a whole number; any other text is left for validation."""
    return int(text) if text.isascii() and text.isdecimal() else text


def _with_default(about: Option, default: Any) -> Option:
    text = about.default
    if isinstance(default, bool):
        text = "off"
    elif default not in (None, ()):
        text = str(default)
    return Option(
        about.help,
        text,
        choices=about.choices,
        words=about.words,
        suggestions=about.suggestions,
    )


def _parameter(
    name: str, kind: Any, flags: tuple[str, ...], about: Option, panel: str | None
) -> inspect.Parameter:
    parts = [about.help]
    if about.choices:
        parts.append(f"One of {', '.join(about.choices)}.")
    if about.default:
        parts.append(f"Default: {about.default}.")
    known = about.choices or about.suggestions

    def complete(incomplete: str) -> list[str]:
        values = known() if callable(known) else known
        return [value for value in values if value.startswith(incomplete)]

    settings = typer.Option(
        *flags,
        parser=_number_or_word if about.words else None,
        metavar=f"<int|{'|'.join(about.words)}>" if about.words else None,
        help=" ".join(parts),
        rich_help_panel=panel,
        show_default=False,
        autocompletion=complete if known is not tuple else None,
    )
    # Typer repeats an option for a list, and takes a tuple for an option of several values.
    if kind == tuple[str, ...]:
        kind = list[str]
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[(str if about.words else kind) | None, settings],
    )


_FILES = [
    _parameter(
        _CONFIG,
        Path,
        ("--config",),
        Option(
            "A TOML file with a table for each group of options, as in [model] and [ranker]; "
            "options given here replace its values.",
            default="no file",
        ),
        None,
    ),
    _parameter(
        _FROM,
        Path,
        ("--from",),
        Option(
            "The manifest of an earlier run, to make the run again; options given here replace its "
            "values.",
            default="no manifest",
        ),
        None,
    ),
]
