"""Parses JSON of a bounded depth: what is nested deeper could break whatever walks over it."""

import json
from collections.abc import Iterable

__all__ = ["parse_json"]

# Real replies nest less than ten deep.
_MAX_DEPTH = 100


def parse_json(content: bytes) -> object:
    """Parses JSON from a server.

    Raises:
        ValueError: it is no JSON, or nested too deeply.
    """
    try:
        parsed: object = json.loads(content)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if content.count(b"[") + content.count(b"{") <= _MAX_DEPTH:  # no deeper than they are many
        return parsed
    level, depth = _containers([parsed]), 0
    while level:
        depth += 1
        if depth > _MAX_DEPTH:
            raise ValueError("nested too deeply")
        level = [
            inner
            for outer in level
            for inner in _containers(outer.values() if isinstance(outer, dict) else outer)
        ]
    return parsed


def _containers(values: Iterable[object]) -> list[dict[str, object] | list[object]]:
    return [one for one in values if isinstance(one, dict | list)]
