"""How a field of a configuration is described: for help pages, completion and validation."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import Field, dataclass, field, fields, is_dataclass
from typing import Any, NamedTuple

from rankprompt.errors import InputError, UnknownNameError

__all__ = [
    "GivenOption",
    "Option",
    "check_number",
    "check_values",
    "iterate_options",
    "option",
    "option_name",
]

_DIGITS = 15  # of a whole number that is exact as a floating-point number, too


@dataclass(frozen=True)
class Option:
    """What a field is.

    Attributes:
        help: a sentence or more.
        default: what happens where the field is None.
        flag: the option's name, where it is not the field's.
        minimum: the least value of a number.
        maximum: the largest value of a number.
        choices: the only values of a text.
        words: the texts that may stand for a number.
        suggestions: values of a text that the shell completes; others are possible.
        hide: shows a value of a list without its secret.
    """

    help: str
    default: str = ""
    flag: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    suggestions: Callable[[], Iterable[str]] = tuple
    hide: Callable[[str], str] | None = None


class GivenOption(NamedTuple):
    """An option of a configuration, its value, its default, and what it is."""

    name: str
    value: Any
    default: Any
    about: Option


def option(default: Any, help: str, **more: Any) -> Any:  # noqa: A002 - as the help page calls it
    """A field with a default and a description; ``more`` as the attributes of ``Option``."""
    more["default"] = more.pop("otherwise", "")
    about = Option(help, **more)
    return field(default=default, repr=about.hide is None, metadata={"option": about})


def option_name(one: "Field[Any]") -> str:
    """The name of a field's option; where it is none of the command line's, the field's own."""
    about: Option | None = one.metadata.get("option")
    return (about.flag if about else "") or one.name


def iterate_options(config: Any) -> Iterator[GivenOption]:
    """The options of a configuration and its groups, without fields that are no options."""
    for one in fields(config):
        value = getattr(config, one.name)
        if is_dataclass(value):
            yield from iterate_options(value)
        elif about := one.metadata.get("option"):
            yield GivenOption(option_name(one), value, one.default, about)


def check_number(name: str, value: object) -> None:
    """Checks that a value, if it is a number, is one that an option can mean.

    Raises:
        InputError: a whole number of more than 15 digits, or a number that is not finite.
    """
    if isinstance(value, int) and abs(value) >= 10**_DIGITS:
        raise InputError(f"`{name}` must have at most {_DIGITS} digits, not be {str(value)[:40]}")
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"`{name}` must be a finite number, not {value}")


def check_values(config: Any) -> None:
    """Checks each value of a configuration against its bounds and choices.

    Raises:
        InputError: a value that is out of bounds, not one of the choices, or holds a NUL.
    """
    for name, value, _, about in iterate_options(config):
        if value is None:
            continue
        texts = value if isinstance(value, tuple) else (value,)
        if any("\0" in str(text) for text in texts):  # no path can hold one, and TOML may
            raise InputError(f"`{name}` must hold no NUL character, as in {str(value)[:80]!r}")
        if about.choices and value not in about.choices:
            raise UnknownNameError(name.replace("_", " "), value, about.choices)
        if about.words and isinstance(value, str):
            if value in about.words:
                continue
            known = " or ".join(about.words)
            raise InputError(f"`{name}` must be a whole number or {known}, not {value[:40]!r}")
        check_number(name, value)
        low, high = about.minimum, about.maximum
        if low is not None and high is not None and not low <= value <= high:
            raise InputError(f"`{name}` must be from {low:g} to {high:g}, not {value}")
        if low is not None and not low <= value:
            raise InputError(f"`{name}` must be at least {low:g}, not {value}")
