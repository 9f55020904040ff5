"""TOML files: a reader whose errors are one line, and a writer of flat tables."""

import json
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from rankprompt.errors import FormatError, InputError, UnknownNameError

__all__ = ["format_toml", "read_toml"]

_T = TypeVar("_T")


def read_toml(path: Path, make: Callable[[dict[str, Any]], _T]) -> _T:
    """Reads a file and makes something of its table.

    Args:
        path: the file.
        make: may raise a ValueError, a TypeError or an UnknownNameError about the table.

    Raises:
        FormatError: the file is not TOML, or not what ``make`` takes.
        InputError: the file cannot be read.
    """
    try:
        content = tomllib.loads(path.read_text("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FormatError(path, None, f"not a TOML file: {error}") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    try:
        return make(content)
    except (ValueError, TypeError, UnknownNameError) as error:
        raise FormatError(path, None, str(error)) from error


def format_toml(keys: Mapping[str, object]) -> str:
    """A TOML file of texts, numbers, truths and lists of texts."""
    # JSON's are TOML's, but for the one control character that JSON lets stand as it is.
    return "".join(
        f"{key} = {json.dumps(value, ensure_ascii=False)}\n".replace("\x7f", "\\u007f")
        for key, value in keys.items()
    )
