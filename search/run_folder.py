"""The run folder of a search, from which it resumes.

* ``settings.json``: what the search was made with; a resume must be made with the same.
* ``history.jsonl``: every individual, a line each, appended a generation at a time.
* ``checkpoint.json``: the state between two generations, replaced when one is finished. It names
  how much of the history belongs to it; lines beyond were written by a search that was killed.

A resumed search equals an uninterrupted one. Where the checkpoint or the history is damaged, the
search is run again from its seed: the intact lines give their scores, and only the missing ones are
evaluated again.
"""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import IO

from rankprompt.errors import FormatError, InputError
from rankprompt.files.atomic_write import write_atomically
from rankprompt.files.file_lock import hold
from rankprompt.files.json_schema import read_text
from rankprompt.search.archive import Archive, ScoredPrompt
from rankprompt.search.checkpoint import (
    Checkpoint,
    format_checkpoint,
    parse_checkpoint,
    restore,
)
from rankprompt.search.config import SearchConfig
from rankprompt.search.fitness.base import Fitness
from rankprompt.search.genome import SeedPrompt
from rankprompt.search.history import format_line, parse_history
from rankprompt.search.individual import Individual
from rankprompt.search.search_state import SearchState
from rankprompt.search.settings_file import claim_folder, read_settings

__all__ = ["RunFolder", "read_history"]

log = logging.getLogger("rankprompt")

_DAMAGED = "history.jsonl.damaged-"


class RunFolder:
    """A search's folder, open for this process alone; a context manager.

    Open it before anything else is written into the folder.

    Args:
        folder: made if it does not exist; its parent must exist.
        seed: the seed prompt.
        config: the configuration of the search.
        about: what else the scores depend on, as JSON takes it: the model's fingerprint, the task.

    Raises:
        InputError: the folder is of another search (the message shows the differences), of a newer
            version, in use, or not a run folder; nothing in it was changed.
    """

    def __init__(
        self, folder: Path, seed: SeedPrompt, config: SearchConfig, about: Mapping[str, object]
    ) -> None:
        self.folder = folder
        self._seed, self._config = seed, config
        claim_folder(folder, config, {"seed": [list(piece) for piece in seed.pieces], **about})
        self._history = _open_alone(folder / "history.jsonl")
        self._saved, self._bytes, self._digest = 0, 0, blake2b()

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._history.close()

    def resume(self, fitness: Fitness) -> SearchState:
        """Gives the state of the search, new or after its last finished generation."""
        self._history.seek(0)
        content = self._history.read()
        path = self.folder / "checkpoint.json"
        problem = "the checkpoint is missing"
        if path.exists():
            problem = "the checkpoint is damaged"
            with suppress(ValueError, FormatError):
                checkpoint = parse_checkpoint(read_text(path))
                problem = "the history is damaged"
                return self._restored(checkpoint, content, fitness)
        if content or path.exists():
            self._move_aside(problem)
        path.unlink(missing_ok=True)
        return self._new_state(fitness)

    def _restored(self, checkpoint: Checkpoint, content: bytes, fitness: Fitness) -> SearchState:
        saved = content[: checkpoint.history_bytes]
        if blake2b(saved).hexdigest() != checkpoint.history_digest:
            raise ValueError("it does not belong to the history")
        history = _read_lines(saved, pareto=self._config.pareto, genes=len(self._seed.genes))
        state = self._new_state(fitness)
        restore(state, checkpoint, history)
        self._saved, self._bytes, self._digest = len(history), len(saved), blake2b(saved)
        self._history.truncate(len(saved))
        return state

    def _new_state(self, fitness: Fitness) -> SearchState:
        archive = Archive(fitness, self._known_scores(), rungs=self._config.rungs)
        return SearchState(self._seed, self._config, archive)

    def save(self, state: SearchState) -> None:
        """Saves a search after a finished generation.

        Raises:
            InputError: it cannot be written, as on a full disk; what was saved before stays.
        """
        lines = "".join(map(format_line, state.history[self._saved :])).encode()
        digest = self._digest.copy()
        digest.update(lines)
        try:
            # At the end of the last saved generation: an earlier attempt may have failed.
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
            self.folder / "checkpoint.json",
            format_checkpoint(state, history_bytes=size, history_digest=digest.hexdigest()),
        )
        self._saved, self._bytes, self._digest = len(state.history), size, digest

    def _move_aside(self, problem: str) -> None:
        number = 1
        while (target := self.folder / f"{_DAMAGED}{number}").exists():
            number += 1
        path = self.folder / "history.jsonl"
        path.rename(target)
        self._history.close()
        self._history = _open_alone(path)
        log.warning(
            "%s: %s; the search is played again from the scores in %s, and only what is missing "
            "there is asked again",
            self.folder, problem, target.name,
        )  # fmt: skip

    def _known_scores(self) -> Iterator[ScoredPrompt]:
        """Yields the scores of the intact lines of damaged histories."""
        for path in sorted(self.folder.glob(f"{_DAMAGED}*")):
            for line in path.read_bytes().split(b"\n"):
                # The other lines of a damaged history may be intact.
                with suppress(ValueError):
                    for individual in parse_history(line, pareto=self._config.pareto):
                        if len(individual.genome) != len(self._seed.genes):
                            continue
                        yield self._seed.template(individual.genome), individual.rungs


def read_history(folder: Path) -> list[Individual]:
    """Reads the individuals of a search's finished generations; changes nothing in the folder.

    Raises:
        InputError: the folder is not a run folder, is damaged, or is of a newer version.
    """
    pareto = read_settings(folder).settings.get("pareto") is True
    try:
        checkpoint = parse_checkpoint(read_text(folder / "checkpoint.json"))
        saved = (folder / "history.jsonl").read_bytes()[: checkpoint.history_bytes]
        if blake2b(saved).hexdigest() != checkpoint.history_digest:
            raise ValueError("the checkpoint does not belong to the history")
        return _read_lines(saved, pareto=pareto)
    except (OSError, ValueError, InputError) as error:
        raise InputError(
            f"{folder}: no whole checkpoint and history to read ({error}); "
            "start the search again with the same settings, which mends them"
        ) from error


def _read_lines(content: bytes, *, pareto: bool, genes: int | None = None) -> list[Individual]:
    """Reads a whole history, whose individuals are numbered and have genomes of equal length."""
    history = parse_history(content, pareto=pareto)
    for number, individual in enumerate(history):
        if individual.number != number:
            raise ValueError(f"individual {individual.number} has the place of number {number}")
        if len(individual.genome) != (len(history[0].genome) if genes is None else genes):
            raise ValueError(f"individual {number} has a genome of another length")
    return history


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
