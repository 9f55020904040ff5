"""The checkpoint of a search between two generations, as JSON text."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from rankprompt.files.json_schema import parse_as
from rankprompt.search.individual import Individual
from rankprompt.search.search_state import SearchState

__all__ = ["Checkpoint", "format_checkpoint", "parse_checkpoint", "restore"]


@dataclass(frozen=True)
class Checkpoint:
    """The state of a search, as ``format_checkpoint`` describes it."""

    generation: int
    population: list[int]
    best: int | None
    improved: int
    renewed: int
    seconds: float
    rng: tuple[int, tuple[int, ...], float | None]
    logbook: list[dict[str, int | float | None]]
    history_bytes: int
    history_digest: str


@dataclass(frozen=True)
class _Sealed:
    state: str
    digest: str


def format_checkpoint(state: SearchState, *, history_bytes: int, history_digest: str) -> str:
    """Writes the checkpoint of a search after a finished generation.

    Individuals are given by their number in the history, which is a file of its own: the size and
    the digest are of the part of it that belongs to finished generations.
    """
    content = json.dumps(
        {
            "generation": state.generation,  # the next one
            "population": [individual.number for individual in state.population],
            "best": None if state.best is None else state.best.number,
            "improved": state.improved,
            "renewed": state.renewed,
            "seconds": state.seconds,
            "rng": state.rng.getstate(),
            "logbook": list(state.logbook),
            "history_bytes": history_bytes,
            "history_digest": history_digest,
        }
    )
    return json.dumps({"state": content, "digest": _digest(content)}) + "\n"


def parse_checkpoint(text: str) -> Checkpoint:
    """Reads a checkpoint.

    Raises:
        ValueError: it is damaged.
    """
    sealed = parse_as(_Sealed, text)
    if sealed.digest != _digest(sealed.state):
        raise ValueError("the checkpoint does not match its digest")
    checkpoint = parse_as(Checkpoint, sealed.state)
    try:
        random.Random().setstate(checkpoint.rng)
    except (TypeError, OverflowError) as error:
        raise ValueError(f"not the state of a random generator: {error}") from error
    numbers = [checkpoint.generation, checkpoint.history_bytes, checkpoint.seconds]
    if not all(number >= 0 for number in numbers):
        raise ValueError("a number is below 0")
    return checkpoint


def restore(state: SearchState, checkpoint: Checkpoint, history: Sequence[Individual]) -> None:
    """Restores a new search.

    Args:
        state: the new search.
        checkpoint: the checkpoint.
        history: the part of the history that belongs to it.

    Raises:
        ValueError: the checkpoint names an individual that the history lacks; the search is as new.
    """
    members = [*checkpoint.population, *([] if checkpoint.best is None else [checkpoint.best])]
    if not all(0 <= number < len(history) for number in members):
        raise ValueError("the checkpoint names an individual that the history lacks")
    state.archive.recall(
        (state.seed.template(individual.genome), individual.rungs) for individual in history
    )
    state.history = list(history)
    state.population = [history[number] for number in checkpoint.population]
    state.best = None if checkpoint.best is None else history[checkpoint.best]
    for row in checkpoint.logbook:
        state.logbook.record(**row)
    state.generation, state.seconds = checkpoint.generation, checkpoint.seconds
    state.improved, state.renewed = checkpoint.improved, checkpoint.renewed
    state.rng.setstate(checkpoint.rng)


def _digest(content: str) -> str:
    return blake2b(content.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
