"""``settings.json``: what a search was made with; a resume must be made with the same."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from rankprompt.errors import FormatError, InputError
from rankprompt.files.atomic_write import write_atomically
from rankprompt.files.json_schema import parse_as, parse_json, read_text
from rankprompt.search.config import SearchConfig

__all__ = ["SavedSettings", "claim_folder", "read_settings"]

_FORM = "rankprompt search"
_VERSION = 1


@dataclass(frozen=True)
class SavedSettings:
    """The settings of a run folder.

    Attributes:
        version: the version of the folder's form.
        settings: a ``SearchConfig``.
        about: what else the scores depend on: the seed's pieces, the model's fingerprint, the task
            and its data.
    """

    version: int
    settings: dict[str, object]
    about: dict[str, object]


def read_settings(folder: Path) -> SavedSettings:
    """Reads the settings of a run folder.

    Raises:
        InputError: the folder is not a run folder, is damaged, or is of a newer version.
    """
    path = folder / "settings.json"
    damaged = f"{path} is damaged, so the search cannot be resumed"
    try:
        text = read_text(path)
    except FormatError as error:
        raise InputError(f"{damaged}: {error.problem}") from error
    except InputError as error:
        raise InputError(f"{folder} is no search's folder: {path.name} cannot be read") from error
    try:
        content = parse_json(text)
        if not isinstance(content, dict) or content.get("form") != _FORM:
            raise InputError(f"{path} is not a search's; name another folder")
        settings = parse_as(SavedSettings, text)
    except ValueError as error:
        raise InputError(f"{damaged}: {error}") from error
    if settings.version > _VERSION:
        raise InputError(
            f"{folder} was written by a newer rankprompt (form {settings.version}, this one "
            f"knows {_VERSION}); update rankprompt, or name another folder"
        )
    return settings


def claim_folder(folder: Path, config: SearchConfig, about: Mapping[str, object]) -> None:
    """Makes a folder the run folder of a search, or makes sure that it is.

    Raises:
        InputError: the folder is of another search (the message shows the differences), of a newer
            version, or not a run folder; nothing in it was changed.
    """
    # As the file is read again: tuples become lists.
    new = json.loads(json.dumps({"settings": asdict(config), "about": about}))
    path = folder / "settings.json"
    if path.exists():
        old = read_settings(folder)
        # A setting that an earlier version did not have had its default.
        defaults = json.loads(json.dumps(asdict(SearchConfig())))
        before = {"settings": defaults | old.settings, "about": old.about}
        if different := _differences(before, new):
            more = f"; and {len(different) - 5} more" if len(different) > 5 else ""
            raise InputError(
                f"{folder} holds a search with other settings: {'; '.join(different[:5])}{more}; "
                "name another folder, or resume with its own settings"
            )
        return
    try:
        folder.mkdir(exist_ok=True)
        # A kill while settings.json was written leaves a hidden temporary file.
        if others := [other.name for other in folder.iterdir() if not other.name.startswith(".")]:
            raise InputError(
                f"{folder} is no search's folder, but holds {min(others)}; name another"
            )
    except OSError as error:
        raise InputError(f"cannot use the folder {folder}: {error.strerror or error}") from error
    content = {"form": _FORM, "version": _VERSION, **new}
    write_atomically(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _differences(old: object, new: object, name: str = "") -> list[str]:
    """Says which values differ, by their path."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            difference
            for key in dict.fromkeys([*old, *new])
            for difference in _differences(old.get(key), new.get(key), f"{name}.{key}".lstrip("."))
        ]
    if isinstance(old, list) and isinstance(new, list) and max(len(old), len(new)) > 4:
        for index, (before, after) in enumerate(zip(old, new, strict=False)):
            if before != after:
                return _differences(before, after, f"{name}[{index}]")
        old, new = f"{len(old)} parts", f"{len(new)} parts"
    return [] if old == new else [f"{name} was {_short(old)}, is now {_short(new)}"]


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
