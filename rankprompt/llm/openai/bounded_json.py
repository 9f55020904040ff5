"""Parses JSON of a bounded depth: what is nested deeper could break whatever walks over it."""

import json

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
    level, depth = [parsed], 0
    while level := [inner for outer in level for inner in _inside(outer)]:
        depth += 1
        if depth > _MAX_DEPTH:
            raise ValueError("nested too deeply")
    return parsed


def _inside(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
