"""The checkpoint of a search between two generations, as JSON text."""

import json
from hashlib import blake2b
from typing import Any

from rankprompt.search.individual import Individual
from rankprompt.search.search_state import SearchState

__all__ = ["format_checkpoint", "parse_checkpoint", "restore"]


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


def parse_checkpoint(text: str) -> dict[str, Any]:
    """Reads a checkpoint.

    Raises:
        ValueError: it is damaged.
    """
    try:
        whole = json.loads(text)
        if whole["digest"] != _digest(whole["state"]):
            raise ValueError("the checkpoint does not match its digest")
        checkpoint: dict[str, Any] = json.loads(whole["state"])
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a checkpoint: {error}") from error
    return checkpoint


def restore(state: SearchState, checkpoint: dict[str, Any], history: list[Individual]) -> None:
    """Restores a new search; ``history`` is the part that belongs to the checkpoint."""
    state.archive.recall(
        (state.seed.template(individual.genome), individual.rungs) for individual in history
    )
    state.history = history
    state.population = [history[number] for number in checkpoint["population"]]
    state.best = None if checkpoint["best"] is None else history[checkpoint["best"]]
    for row in checkpoint["logbook"]:
        state.logbook.record(**row)
    state.generation, state.seconds = checkpoint["generation"], checkpoint["seconds"]
    state.improved, state.renewed = checkpoint["improved"], checkpoint["renewed"]
    version, words, spare_draw = checkpoint["rng"]
    state.rng.setstate((version, tuple(words), spare_draw))


def _digest(content: str) -> str:
    return blake2b(content.encode(), digest_size=16).hexdigest()
