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
from rankprompt.files import check_writable

__all__ = [
    "beside",
    "check_paths",
    "describe_file",
    "format_manifest",
    "manifest_path",
    "versions",
]

_FORM = "rankprompt manifest 2"
_FORMS = ("rankprompt manifest 1", _FORM)
# Endings that say "a run"; any other belongs to the name, as in dl19.k10.
_RUN_ENDINGS = {".trec", ".run", ".res", ".txt", ".tsv"}


def beside(run: Path, ending: str) -> Path:
    """The file of this ending that belongs to a run, such as better.json to better.trec."""
    stem = run.stem if run.suffix.lower() in _RUN_ENDINGS else run.name
    return run.with_name(stem + ending)


def manifest_path(run: Path) -> Path:
    """Where the manifest of a run file lies.

    Raises:
        InputError: there is a file that is no manifest of ours; it is left alone.
    """
    path = beside(run, ".json")
    if run.suffix.lower() == ".json":
        raise InputError(f"{run}: a run needs another ending than .json, which is its manifest's")
    if path.exists():
        try:
            ours = json.loads(path.read_text("utf-8")).get("form") in _FORMS
        except (OSError, ValueError, AttributeError):
            ours = False
        if not ours:
            raise InputError(
                f"{path}: the run's manifest would replace this file, which is no manifest; "
                "name another --output"
            )
    return path


def check_paths(run: Path, journal: Path | None, inputs: Iterable[Path | None]) -> None:
    """Makes sure that a run, its manifest and its journal can be written, and harm no input.

    Raises:
        InputError: they cannot, or would.
    """
    outputs = [run, manifest_path(run), *([journal] if journal else [])]
    read = {path.resolve() for path in inputs if path}
    for path in outputs:
        if path.resolve() in read:
            raise InputError(f"{path}: this input would be overwritten; name another --output")
    if len({path.resolve() for path in outputs}) < len(outputs):
        raise InputError(f"{run}: run, manifest and journal need names that differ")
    check_writable(run)


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


def format_manifest(settings: Any, content: Mapping[str, Any]) -> str:
    """Gives the text of a manifest, as JSON.

    Args:
        settings: a dataclass, resolved: no setting is left to a default that may change.
        content: what else there is to say.
    """
    whole = {
        "form": _FORM,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        **(settings if isinstance(settings, Mapping) else {"settings": asdict(settings)}),
        **content,
    }
    return json.dumps(whole, indent=2, ensure_ascii=False, default=str) + "\n"
