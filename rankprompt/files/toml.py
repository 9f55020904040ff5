"""TOML files: a reader with one-line errors, and a writer of flat tables."""

import json
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from rankprompt.errors import FormatError, InputError, UnknownNameError

__all__ = ["format_toml", "read_toml"]

_T = TypeVar("_T")


def read_toml(path: Path, make: Callable[[dict[str, object]], _T]) -> _T:
    """Reads a TOML file and builds an object from its table.

    Args:
        path: the file.
        make: builds the object; may raise a ValueError, TypeError or UnknownNameError.

    Raises:
        FormatError: the file is not TOML, or ``make`` refuses its content.
        InputError: the file cannot be read.
    """
    try:
        content = tomllib.loads(path.read_text("utf-8-sig"))
    except RecursionError:
        raise FormatError(path, None, "not a TOML file: brackets are nested too deep") from None
    except ValueError as error:  # not UTF-8, not TOML, or a number of thousands of digits
        raise FormatError(path, None, f"not a TOML file: {error}") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    try:
        return make(content)
    except (ValueError, TypeError, UnknownNameError) as error:
        raise FormatError(path, None, str(error)) from error


def format_toml(keys: Mapping[str, object]) -> str:
    """Returns a TOML text of strings, numbers, booleans and lists of strings."""
    # JSON values are TOML values, except for the one control character that JSON does not escape.
    return "".join(
        f"{key} = {json.dumps(value, ensure_ascii=False)}\n".replace("\x7f", "\\u007f")
        for key, value in keys.items()
    )
