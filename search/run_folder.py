"""The record of a search: one folder, from which it resumes.

* ``settings.json``: how the search was made, resolved; a resume must be made the same way.
* ``history.jsonl``: everybody who was born, a line each, written a generation at a time.
* ``checkpoint.json``: the state between two generations, replaced when one is finished. It names
  how much of the history belongs to it, so what a killed search wrote beyond is cut off.

A resumed search equals an uninterrupted one. Should the checkpoint or the history be damaged, the
search is played again from its seed: the lines that are whole give the scores, and only what is
missing is asked again.
"""

import json
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from hashlib import blake2b
from pathlib import Path
from typing import IO, Any
from zlib import crc32

from rankprompt.errors import InputError
from rankprompt.files.atomic_write import write_atomically
from rankprompt.files.file_lock import hold
from rankprompt.search.archive import Archive, Fitness, PartialFitness, Scores
from rankprompt.search.checkpoint import pack, restore, unpack
from rankprompt.search.config import SearchSettings
from rankprompt.search.genome import SeedPrompt
from rankprompt.search.individual import Individual
from rankprompt.search.search_state import Search

__all__ = ["Record", "read_history"]

log = logging.getLogger("rankprompt")

_FORM = "rankprompt search"
_VERSION = 1
_DAMAGED = "history.jsonl.damaged-"


class Record:
    """A search's folder, open for this process alone; use it as a context.

    Open it before anything else is put into the folder.

    Args:
        folder: made if it is not there; its own folder must exist.
        seed: what is pruned.
        settings: how.
        about: what else the scores depend on, as JSON takes it: the model's fingerprint, the task.

    Attributes:
        notes: what was found wrong and mended, a sentence each; logged, too.

    Raises:
        InputError: the folder is another search's (the differences are shown), of a newer version,
            in use, or no search's; nothing in it was changed.
    """

    def __init__(
        self,
        folder: Path,
        seed: SeedPrompt,
        settings: SearchSettings,
        about: Mapping[str, Any],
    ) -> None:
        self.folder, self.notes = folder, list[str]()
        self._seed, self._settings = seed, settings
        made = {"seed": [list(piece) for piece in seed.pieces], **about}
        _claim(folder, {"settings": asdict(settings), "about": made})
        self._history = _open_alone(folder / "history.jsonl")
        self._keep(0, b"")

    def __enter__(self) -> "Record":
        """Gives itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the folder; what was saved stays."""
        with suppress(OSError):
            self._history.close()

    def begin(self, fitness: Fitness | PartialFitness) -> Search:
        """The search, fresh or as it was after its last finished generation."""
        self._history.seek(0)
        content = self._history.read()
        state, problem = None, "the checkpoint is missing"
        path = self.folder / "checkpoint.json"
        with suppress(FileNotFoundError):
            try:
                state = unpack(path.read_text("utf-8"))
                whole = content[: state["history_bytes"]]
                if blake2b(whole).hexdigest() != state["history_digest"]:
                    state, problem = None, "the history is damaged"
            except (ValueError, KeyError, TypeError):
                state, problem = None, "the checkpoint is damaged"
        if state is None:
            if content or path.exists():
                self._move_aside(problem)
            path.unlink(missing_ok=True)
            return Search.begin(self._seed, self._settings, self._archive(fitness))
        history = _parse(whole, pareto=self._settings.pareto)
        self._keep(len(history), whole)
        self._history.truncate(len(whole))  # the rest is of a generation that was never finished
        return restore(state, self._seed, self._settings, self._archive(fitness), history)

    def _archive(self, fitness: Fitness | PartialFitness) -> Archive:
        return Archive(fitness, self._known(), rungs=self._settings.rungs)

    def _keep(self, individuals: int, content: bytes) -> None:
        """What of the history is recorded."""
        self._saved, self._bytes, self._digest = individuals, len(content), blake2b(content)

    def save(self, search: Search) -> None:
        """Records a search as it stands after a finished generation.

        Raises:
            InputError: it cannot be written, as on a full disk; what was saved before stays.
        """
        lines = "".join(_line(one) for one in search.history[self._saved :]).encode()
        digest = self._digest.copy()
        digest.update(lines)
        try:
            # From where the last good generation ends, should an earlier attempt have failed.
            self._history.seek(self._bytes)
            self._history.truncate()
            self._history.write(lines)
            self._history.flush()
            os.fsync(self._history.fileno())
        except OSError as error:
            raise InputError(
                f"cannot write {self.folder / 'history.jsonl'}: {error.strerror or error}; "
                "what was finished before is kept"
            ) from error
        size = self._bytes + len(lines)
        write_atomically(
            self.folder / "checkpoint.json", pack(search, size=size, digest=digest.hexdigest())
        )
        self._saved, self._bytes, self._digest = len(search.history), size, digest

    def _move_aside(self, problem: str) -> None:
        number = 1
        while (target := self.folder / f"{_DAMAGED}{number}").exists():
            number += 1
        path = self.folder / "history.jsonl"
        path.rename(target)
        self._history.close()
        self._history = _open_alone(path)
        self._note(
            f"{self.folder}: {problem}; the search is played again from the scores in "
            f"{target.name}, and only what is missing there is asked again"
        )

    def _known(self) -> list[Scores]:
        known: list[Scores] = [{} for _ in range(self._settings.rungs)]
        for path in sorted(self.folder.glob(f"{_DAMAGED}*")):
            for line in path.read_bytes().split(b"\n"):
                # One line's damage says nothing of the others.
                with suppress(ValueError, TypeError, KeyError):
                    for one in _parse(line, pareto=self._settings.pareto):
                        for scores, score in zip(known, one.rungs, strict=False):
                            scores[one.text] = score
        return known

    def _note(self, note: str) -> None:
        self.notes.append(note)
        log.warning("%s", note)


def read_history(folder: Path) -> list[Individual]:
    """The individuals of a search's finished generations; changes nothing in the folder.

    Raises:
        InputError: the folder is no search's, or is of a newer version.
    """
    made = _read_settings(folder)
    pareto = bool(made["settings"]["pareto"])
    try:
        state = unpack((folder / "checkpoint.json").read_text("utf-8"))
        content = (folder / "history.jsonl").read_bytes()
        return _parse(content[: state["history_bytes"]], pareto=pareto)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{folder}: no whole checkpoint and history to read ({error}); "
            "start the search again with the same settings, which mends them"
        ) from error


def _parse(content: bytes, *, pareto: bool) -> list[Individual]:
    individuals = []
    for line in content.decode().splitlines():
        record = json.loads(line)
        if record.pop("check") != _check(record):
            raise ValueError("a line does not match its checksum")
        individuals.append(Individual.from_record(record, pareto=pareto))
    return individuals


def _line(one: Individual) -> str:
    record = one.record()
    # Escaped, so that no text, with whatever line ends, takes more than one line.
    return json.dumps({**record, "check": _check(record)}) + "\n"


def _check(record: Mapping[str, Any]) -> str:
    return f"{crc32(json.dumps(record).encode()):08x}"


def _open_alone(path: Path) -> IO[bytes]:
    try:
        path.touch()
        file = path.open("r+b")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
    if hold(file) is False:
        file.close()
        raise InputError(
            f"{path.parent}: another process is at this search; wait for it, or name another folder"
        )
    return file


def _claim(folder: Path, made: Mapping[str, Any]) -> None:
    """Makes the folder this search's, or makes sure that it is."""
    made = json.loads(json.dumps(made))  # as it will be read again: tuples become lists
    path = folder / "settings.json"
    if path.exists():
        old = _read_settings(folder)
        # A setting that a search of an earlier version did not know was its default.
        old["settings"] = json.loads(json.dumps(asdict(SearchSettings()))) | old["settings"]
        if different := _differences({key: old.get(key) for key in made}, made):
            more = f"; and {len(different) - 5} more" if len(different) > 5 else ""
            raise InputError(
                f"{folder} holds a search made otherwise: {'; '.join(different[:5])}{more}; "
                "name another folder, or resume with what it was made with"
            )
        return
    try:
        folder.mkdir(exist_ok=True)
        # What a kill within the writing of settings.json leaves behind is ours.
        if others := [one.name for one in folder.iterdir() if not one.name.startswith(".")]:
            raise InputError(
                f"{folder} is no search's folder, but holds {min(others)}; name another"
            )
    except OSError as error:
        raise InputError(f"cannot use the folder {folder}: {error.strerror or error}") from error
    content = {"form": _FORM, "version": _VERSION, **made}
    write_atomically(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _read_settings(folder: Path) -> dict[str, Any]:
    path = folder / "settings.json"
    try:
        found = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise InputError(f"{folder} is no search's folder: {path.name} cannot be read") from error
    except ValueError as error:
        raise InputError(f"{path} is damaged, so the search cannot be resumed: {error}") from error
    if not isinstance(found, dict) or found.get("form") != _FORM:
        raise InputError(f"{path} is not a search's; name another folder")
    if found.get("version", 0) > _VERSION:
        raise InputError(
            f"{folder} was written by a newer rankprompt (form {found['version']}, this one "
            f"knows {_VERSION}); update rankprompt, or name another folder"
        )
    return found


def _differences(old: Any, new: Any, name: str = "") -> list[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [*old, *(key for key in new if key not in old)]
        return [
            found
            for key in keys
            for found in _differences(old.get(key), new.get(key), f"{name}.{key}".lstrip("."))
        ]
    if isinstance(old, list) and isinstance(new, list) and max(len(old), len(new)) > 4:
        for place, (one, other) in enumerate(zip(old, new, strict=False)):
            if one != other:
                return _differences(one, other, f"{name}[{place}]")
        old, new = f"{len(old)} parts", f"{len(new)} parts"
    return [] if old == new else [f"{name} was {_short(old)}, is now {_short(new)}"]


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
