"""Makes a verb's options from the fields of its config: each option is declared once, there."""

import re
from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields, is_dataclass
from inspect import Parameter, Signature, signature
from typing import Annotated, TypeVar, get_args, get_origin, get_type_hints

import typer

__all__ = ["options_of"]

Config = TypeVar("Config")


def options_of(config: type[Config]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Returns a decorator that gives a verb the options of a config in place of its first argument.

    Each field is ``Annotated[type, "help text"]``, in which a field's name in backticks becomes its
    flag; a field that is a config itself adds its own fields.

    Args:
        config: The dataclass that the verb takes first.
    """

    def decorate(verb: Callable[..., None]) -> Callable[..., None]:
        def command(**values: object) -> None:
            built = _build(config, values)
            verb(built, **values)

        own = signature(verb, eval_str=True).parameters.values()
        parameters = [*_parameters(config), *list(own)[1:]]
        command.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {each.name: each.annotation for each in parameters}
        command.__name__, command.__doc__ = verb.__name__, verb.__doc__
        return command

    return decorate


def _parameters(config: type[object]) -> Iterator[Parameter]:
    hints = get_type_hints(config, include_extras=True)
    for field in fields(config):  # type: ignore[arg-type]
        hint = hints[field.name]
        if isinstance(hint, type) and is_dataclass(hint):
            yield from _parameters(hint)
            continue
        kind, text = get_args(hint)
        flags = [f"--{field.name.replace('_', '-')}"] if kind is bool else []
        default: object = Parameter.empty if field.default is MISSING else field.default
        if get_origin(kind) is tuple:
            kind = list[get_args(kind)[0]]  # type: ignore[misc]
        yield Parameter(
            field.name,
            Parameter.KEYWORD_ONLY,
            default=default,
            annotation=Annotated[kind, typer.Option(*flags, help=_with_flags(text))],
        )


def _with_flags(text: str) -> str:
    return re.sub(r"`(\w+)`", lambda match: f"--{match[1].replace('_', '-')}", text)


def _build(config: type[Config], values: dict[str, object]) -> Config:
    """A config from the values of its options, which are taken out of ``values``."""
    chosen: dict[str, object] = {}
    for name, hint in get_type_hints(config).items():
        if isinstance(hint, type) and is_dataclass(hint):
            chosen[name] = _build(hint, values)
            continue
        value = values.pop(name)
        chosen[name] = tuple(value) if isinstance(value, list) else value
    return config(**chosen)
