"""Mutated copies of valid JSON files: what a damaged or a hostile file may hold."""

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

__all__ = ["mutate", "mutate_bytes", "mutate_json"]

_DEEP = "@deep@"
_LITERALS = {
    "@nan@": "NaN",
    "@inf@": "-Infinity",
    "@huge@": "1e999",
    "@digits@": "9" * 5000,
    _DEEP: "[" * 10_000 + "]" * 10_000,
    "@table@": '{"a":' * 10_000 + "1" + "}" * 10_000,
    "@surrogate@": r'"\ud800"',
}
_VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 0.5, -0.0, 1e308, 10**30, -(10**30), 2**63, "", "0", "text", "\0",
    "\n", "x" * 5000, [], {}, [[]], [None], {"": None}, {"form": 1}, *_LITERALS,
]  # fmt: skip
_PIECES = (b"\0", b"\xff", b"\xc3", b"{", b"}", b"[", b"]", b'"', b"\\", b",", b"9", b"-", b"NaN")


def mutate(rng: random.Random, content: bytes) -> bytes:
    """Returns a copy of a JSON file with a changed value, or with changed bytes."""
    return mutate_json(rng, content) if rng.random() < 0.7 else mutate_bytes(rng, content)


def mutate_json(rng: random.Random, content: bytes) -> bytes:
    """Returns a copy with one value replaced, removed, wrapped or given a second time."""
    whole = [copy.deepcopy(json.loads(content))]
    holder, key = rng.choice(list(_places(whole)))
    kind = rng.randrange(6)
    if kind == 0 and holder is not whole:
        del holder[key]
    elif kind == 1:
        holder[key] = [holder[key]]
    elif kind == 2 and isinstance(holder, dict):
        holder["unknown"] = holder[key]
    elif kind == 3 and isinstance(holder[key], int | float) and not isinstance(holder[key], bool):
        holder[key] = rng.choice([str(holder[key]), holder[key] + 0.5, -holder[key], 2**70])
    else:
        holder[key] = rng.choice(_VALUES)
    text = json.dumps(whole[0])
    for name, literal in _LITERALS.items():
        text = text.replace(json.dumps(name), literal)
    if kind == 4 and text.startswith("{") and len(text) > 2:
        text = "{" + text[1:-1] + "," + text[1:]  # every key twice
    return text.encode()


def mutate_bytes(rng: random.Random, content: bytes) -> bytes:
    """Returns a copy that is cut, or in which some bytes are replaced, added or removed."""
    at = rng.randrange(len(content) + 1)
    match rng.randrange(5):
        case 0:
            return content[:at]
        case 1:
            return content[:at] + rng.choice(_PIECES) + content[at:]
        case 2:
            return content[:at] + bytes([rng.randrange(256)]) + content[at + 1 :]
        case 3:
            return content[:at] + content[at + rng.randint(1, 40) :]
        case _:
            return content[:at] + content[:at]


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, inner in items:
        yield value, key
        yield from _places(inner)
