"""The manifest: how a run was made, beside the run."""

import json
import platform
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from hashlib import blake2b
from importlib import metadata
from pathlib import Path
from typing import Any

from rankprompt.errors import InputError
from rankprompt.files import write_atomically

__all__ = ["describe_file", "manifest_path", "versions", "write_manifest"]

_FORM = "rankprompt manifest 1"


def manifest_path(run: Path) -> Path:
    """Where the manifest of a run file lies.

    Raises:
        InputError: there is a file that is no manifest of ours; it is left alone.
    """
    path = run.with_suffix(".json")
    if path == run:
        raise InputError(f"{run}: a run needs another ending than .json, which is its manifest's")
    if path.exists():
        try:
            ours = json.loads(path.read_text("utf-8")).get("form") == _FORM
        except (OSError, ValueError, AttributeError):
            ours = False
        if not ours:
            raise InputError(
                f"{path}: the run's manifest would replace this file, which is no manifest; "
                "name another --output"
            )
    return path


def versions(packages: Iterable[str]) -> dict[str, str]:
    """The versions of Python and of these packages, as far as they are installed."""
    found = {"python": platform.python_version()}
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def describe_file(path: Path) -> dict[str, Any]:
    """A file's path, size in bytes and digest, by which an input is known again."""
    digest = blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return {"path": str(path), "bytes": path.stat().st_size, "blake2b": digest.hexdigest()}


def write_manifest(path: Path, settings: Any, content: Mapping[str, Any]) -> dict[str, Any]:
    """Writes a manifest atomically.

    Args:
        path: from ``manifest_path``.
        settings: a dataclass, resolved: no setting is left to a default that may change.
        content: what else there is to say.

    Returns:
        The manifest, as it reads in the file.
    """
    whole = {
        "form": _FORM,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "settings": asdict(settings),
        **content,
    }
    text = json.dumps(whole, indent=2, ensure_ascii=False, default=str) + "\n"
    write_atomically(path, text)
    written: dict[str, Any] = json.loads(text)
    return written
