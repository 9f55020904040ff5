"""Folders of models: how they are created, fingerprinted, and found inside installed wheels."""

import json
from collections.abc import Iterable
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from rankprompt.errors import PIP_LINES, InputError, ModelError

__all__ = [
    "digest",
    "find_in_wheel",
    "folder_fingerprint",
    "make_folder",
    "read_list",
    "read_settings",
]

J = TypeVar("J", dict[str, Any], list[Any])

_HASHED = {".bin", ".json", ".onnx", ".onnx_data", ".safetensors"}
_LARGEST_SETTINGS = 1 << 20  # bytes


def make_folder(folder: Path) -> None:
    """Creates a folder and its parents, unless it exists; raises InputError where it cannot."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {folder}: {error.strerror or error}") from error


def digest(content: bytes) -> str:
    """Returns the BLAKE2b digest of some bytes as 32 hexadecimal digits."""
    return blake2b(content, digest_size=16).hexdigest()


def folder_fingerprint(folder: Path, *, more: Iterable[Path] = ()) -> str:
    """Returns the digest of a model folder's weights, tokenizer and configuration files.

    Args:
        folder: Whose own files are read, not those in folders inside it.
        more: Files inside those folders that belong to the model.

    Raises:
        ModelError: A file cannot be read.
    """
    state = blake2b(digest_size=16)
    try:
        own = sorted(path for path in folder.iterdir() if path.suffix in _HASHED)
        for path in [*own, *more]:
            state.update(str(path.relative_to(folder)).encode(errors="surrogateescape"))
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    state.update(block)
    except OSError as error:
        raise ModelError(f"cannot read {error.filename}: {error.strerror or error}") from error
    return state.hexdigest()


def read_settings(path: Path) -> dict[str, Any]:
    """Reads a JSON object, such as ``config.json``; an absent file is an empty one.

    Raises:
        ModelError: The file cannot be read, is no object, or has more than 1 MB.
    """
    return _read(path, dict) if path.is_file() else {}


def read_list(path: Path) -> list[Any]:
    """Reads a JSON array, such as ``modules.json``; an absent file is an empty one.

    Raises:
        ModelError: As for ``read_settings``.
    """
    return _read(path, list) if path.is_file() else []


def _read(path: Path, kind: type[J]) -> J:
    try:
        if path.stat().st_size > _LARGEST_SETTINGS:
            raise ValueError("it has more than 1 MB")
        content = json.loads(path.read_text("utf-8"))
        if not isinstance(content, kind):
            raise ValueError(f"expected {'an object' if kind is dict else 'an array'}")
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"cannot read {path}: {error}") from error
    return content


def find_in_wheel(package: str, inside: str, *, model: str) -> Path:
    """Returns the folder ``inside`` an installed package, which is not imported.

    Raises:
        ModelError: The package is not installed; the message names the ``model``, which
            is a key of ``PIP_LINES``, and gives the pip command.
    """
    spec = find_spec(package)
    for root in (spec and spec.submodule_search_locations) or ():
        return Path(root, inside)
    raise ModelError(f"the weights of {model} are not installed; run: {PIP_LINES[model]}")
