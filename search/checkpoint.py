"""A search between two generations, as text and back. JSON throughout: nothing is executed."""

import json
from hashlib import blake2b
from typing import Any

from rankprompt.search.archive import Archive
from rankprompt.search.config import SearchSettings
from rankprompt.search.genome import SeedPrompt
from rankprompt.search.individual import Individual
from rankprompt.search.search_state import Search

__all__ = ["pack", "restore", "unpack"]


def pack(search: Search, *, size: int, digest: str) -> str:
    """The text of a checkpoint.

    Args:
        search: after a finished generation; its history is kept elsewhere.
        size: of that history, in bytes.
        digest: of that history.
    """
    state = {
        "generation": search.generation,  # the next one's
        "population": [one.number for one in search.population],
        "best": None if search.best is None else search.best.number,
        "improved": search.improved,
        "renewed": search.renewed,
        "seconds": search.seconds,
        "rng": search.rng.getstate(),
        "logbook": list(search.logbook),
        "history_bytes": size,
        "history_digest": digest,
    }
    content = json.dumps(state)
    return json.dumps({"state": content, "digest": _digest(content)}) + "\n"


def unpack(text: str) -> dict[str, Any]:
    """Reads what ``pack`` gave.

    Raises:
        ValueError: it is damaged.
    """
    try:
        whole = json.loads(text)
        content, digest = whole["state"], whole["digest"]
        if digest != _digest(content):
            raise ValueError("the checkpoint does not match its digest")
        state: dict[str, Any] = json.loads(content)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a checkpoint: {error}") from error
    return state


def restore(
    state: dict[str, Any],
    seed: SeedPrompt,
    settings: SearchSettings,
    archive: Archive,
    history: list[Individual],
) -> Search:
    """The search as it was; ``history`` is what the checkpoint says belongs to it."""
    search = Search.begin(seed, settings, archive)
    archive.recall(history)
    search.history = history
    search.population = [history[number] for number in state["population"]]
    search.best = None if state["best"] is None else history[state["best"]]
    for row in state["logbook"]:
        search.logbook.record(**row)
    search.generation, search.seconds = state["generation"], state["seconds"]
    search.improved, search.renewed = state["improved"], state["renewed"]
    version, words, gauss = state["rng"]
    search.rng.setstate((version, tuple(words), gauss))
    return search


def _digest(content: str) -> str:
    return blake2b(content.encode(), digest_size=16).hexdigest()
