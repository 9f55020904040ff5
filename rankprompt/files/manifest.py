"""The manifest of a run: a JSON file beside the run that records how the run was made."""

import json
import platform
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from importlib import metadata
from pathlib import Path
from typing import TypedDict

from rankprompt.errors import InputError
from rankprompt.files.atomic_write import check_writable
from rankprompt.files.compression import COMPRESSED_ENDINGS
from rankprompt.files.json_schema import parse_json, read_text

__all__ = [
    "FORMS",
    "FileDescription",
    "beside",
    "check_paths",
    "describe_file",
    "format_manifest",
    "manifest_path",
    "versions",
]

_FORM = "rankprompt manifest 2"
FORMS = ("rankprompt manifest 1", _FORM)
"""The forms that are read; manifests of form 1 held their settings ungrouped."""

# Suffixes of run files; any other suffix belongs to the name, as in dl19.k10.
_RUN_SUFFIXES = {".trec", ".run", ".res", ".txt", ".tsv"}


class FileDescription(TypedDict):
    """A file's path, its size in bytes, and the BLAKE2b digest of its content."""

    path: str
    bytes: int
    blake2b: str


def beside(run: Path, suffix: str) -> Path:
    """Returns the companion file of a run, such as better.json of better.trec.

    Args:
        run: the run file.
        suffix: the companion's suffix, with its dot.
    """
    stem = run.stem if run.suffix.lower() in _RUN_SUFFIXES else run.name
    return run.with_name(stem + suffix)


def manifest_path(run: Path) -> Path:
    """Returns the path of a run's manifest.

    Raises:
        InputError: a file that is not our manifest is in its place; or the run ends in .json.
    """
    path = beside(run, ".json")
    if run.suffix.lower() == ".json":
        raise InputError(f"{run}: a run needs another ending than .json, which is its manifest's")
    if path.exists():
        try:
            content = parse_json(read_text(path))
            ours = isinstance(content, dict) and content.get("form") in FORMS
        except (InputError, ValueError):
            ours = False
        if not ours:
            raise InputError(
                f"{path}: the run's manifest would replace this file, which is no manifest; "
                "name another `output`"
            )
    return path


def check_paths(
    run: Path, journal: Path | None, inputs: Iterable[Path | None], scores: Path | None = None
) -> None:
    """Checks that a run and the files with it can be written without touching an input.

    Args:
        run: the run to write.
        journal: the journal to write; None if there is none.
        inputs: the files that are read.
        scores: the table of scores to write; None if there is none.

    Raises:
        InputError: a file cannot be written, or an input would be overwritten, or the name of a run
            or table says that it is compressed.
    """
    outputs = [run, manifest_path(run), *filter(None, (journal, scores))]
    for path in (run, scores):
        if path and path.suffix.lower() in COMPRESSED_ENDINGS:
            raise InputError(
                f"cannot write {path}: runs and scores are plain text; name it without "
                f"{path.suffix}, and compress it afterwards"
            )
    read = {path.resolve() for path in inputs if path}
    for path in outputs:
        if path.resolve() in read:
            raise InputError(f"{path}: this input would be overwritten; name another `output`")
    if len({path.resolve() for path in outputs}) < len(outputs):
        raise InputError(f"{run}: run, manifest, journal and scores need names that differ")
    check_writable(run)
    if scores:
        check_writable(scores)


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Returns the versions of Python and of those packages that are installed."""
    installed = {"python": platform.python_version()}
    for name in packages:
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return installed


def describe_file(path: Path) -> FileDescription:
    """Describes a file by its path, size and digest, by which an input can be recognised."""
    digest = blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return {"path": str(path), "bytes": path.stat().st_size, "blake2b": digest.hexdigest()}


def format_manifest(content: Mapping[str, object]) -> str:
    """Returns the JSON text of a manifest.

    Args:
        content: the entries, among them the resolved configuration.
    """
    manifest = {
        "form": _FORM,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        **content,
    }
    return json.dumps(manifest, indent=2, ensure_ascii=False, default=str) + "\n"
