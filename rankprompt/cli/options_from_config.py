"""The options of a command that takes a configuration: one for each field, in panels."""

import inspect
from collections.abc import Callable, Collection, Iterable
from dataclasses import fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Protocol, get_type_hints

import typer

from rankprompt.errors import InputError
from rankprompt.pipeline.config import RerankConfig
from rankprompt.pipeline.config_option import Option

__all__ = ["takes_rerank_config"]

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


class _Verb(Protocol):
    def __call__(self, config: RerankConfig, /, **more: Any) -> None:
        """Runs the command."""


def takes_rerank_config(
    *, without: Collection[str] = ()
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command an option for each field of ``RerankConfig``, and files to begin with.

    The command is called with the configuration, and with its own options by keyword.

    Args:
        without: names of options that the command does not have.
    """

    def decorate(verb: Callable[..., None]) -> Callable[..., None]:
        parameters = list(_parameters(set(without)))
        names = {parameter.name for parameter in parameters}

        @wraps(verb)
        def command(**given: Any) -> None:
            options = {
                name: tuple(value) if isinstance(value, list) else value
                for name, value in given.items()
                if name in names and value not in (None, [])
            }
            own = {name: value for name, value in given.items() if name not in names}
            verb(_configure(options), **own)

        mine = list(inspect.signature(verb).parameters.values())[1:]
        keyword = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in mine]
        signature = inspect.Signature([*parameters, *keyword])
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


def _parameters(without: set[str]) -> Iterable[inspect.Parameter]:
    config = RerankConfig()
    for group, panel in _PANELS.items():
        yield from _options_of(type(getattr(config, group)), panel, without)
    yield from _options_of(RerankConfig, None, without)
    yield _parameter(
        _CONFIG,
        Path,
        ("--config",),
        Option(
            "A TOML file with a table for each group of options, as in [model] and [ranker]; "
            "options given here replace its values.",
            default="no file",
        ),
        None,
    )
    yield _parameter(
        _FROM,
        Path,
        ("--from",),
        Option(
            "The manifest of an earlier run, to make the run again; options given here replace its "
            "values.",
            default="no manifest",
        ),
        None,
    )


def _options_of(group: type, panel: str | None, without: set[str]) -> Iterable[inspect.Parameter]:
    hints = get_type_hints(group)
    for field in fields(group):
        if is_dataclass(hints[field.name]):
            continue
        about: Option = field.metadata["option"]
        name = about.flag or field.name
        if name not in without:
            flags = (f"--{name.replace('_', '-')}",)
            described = _with_default(about, field.default)
            yield _parameter(name, hints[field.name], flags, described, panel)


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
