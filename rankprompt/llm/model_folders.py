"""Folders of models: how they are created, fingerprinted, and found inside installed wheels."""

from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path

from rankprompt.errors import PIP_LINES, InputError, ModelError

__all__ = ["digest", "find_in_wheel", "folder_fingerprint", "make_folder"]

_HASHED = {".bin", ".json", ".onnx", ".safetensors"}


def make_folder(folder: Path) -> None:
    """Creates a folder and its parents, unless it exists; raises InputError where it cannot."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {folder}: {error.strerror or error}") from error


def digest(content: bytes) -> str:
    """Returns the BLAKE2b digest of some bytes as 32 hexadecimal digits."""
    return blake2b(content, digest_size=16).hexdigest()


def folder_fingerprint(folder: Path) -> str:
    """Returns the digest of a model folder's weights, tokenizer and configuration files.

    Raises:
        ModelError: A file cannot be read.
    """
    state = blake2b(digest_size=16)
    try:
        for path in sorted(path for path in folder.iterdir() if path.suffix in _HASHED):
            state.update(path.name.encode(errors="surrogateescape"))
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    state.update(block)
    except OSError as error:
        raise ModelError(f"cannot read {error.filename}: {error.strerror or error}") from error
    return state.hexdigest()


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
