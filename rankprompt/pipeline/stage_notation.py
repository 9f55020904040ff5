"""The notation of a stage: ``METHOD:MODEL@DEPTH``, then options as ``name=value``."""

import shlex
from collections.abc import Sequence
from typing import NamedTuple

from rankprompt.errors import InputError
from rankprompt.llm.openai.settings import hide_header

__all__ = ["StageNotation", "format_stage", "hide_stage", "parse_stage"]

_HEADER = "header="


class StageNotation(NamedTuple):
    """A stage as it is written; nothing is checked but the notation.

    Attributes:
        method: the ranking method.
        model: the model; None where the stage has the model that is given outside the stages.
        depth: how many of the best documents of the stage before are reranked; None for as many
            as that stage reranks.
        options: pairs of an option's name and its value, in the order written.
    """

    method: str
    model: str | None
    depth: int | None
    options: tuple[tuple[str, str], ...] = ()


def parse_stage(text: str) -> StageNotation:
    """Parses a stage.

    The method ends at the first colon, and the depth follows the last @, so that the model between
    them may hold both. Words are split as a shell does: a value with spaces is put in quotes.

    Raises:
        InputError: the text is no stage; the message shows no option's value.

    Examples:
        >>> from rankprompt.pipeline.stage_notation import parse_stage
        >>> parse_stage("heapsort:openai:gpt-4.1-mini@20 prompt=prp")[:3]
        ('heapsort', 'openai:gpt-4.1-mini', 20)
    """
    head, *words = _split(text)
    before, at, after = head.rpartition("@")
    if at and not (after.isascii() and after.isdecimal() and 0 < len(after) <= 15 and int(after)):
        raise InputError(f"{head}: give a number from 1 after @, as in heapsort@20")
    method, colon, model = (before if at else head).partition(":")
    if not method or (colon and not model):
        raise InputError(f"{head}: a stage is METHOD:MODEL@DEPTH, as in heapsort:openai:gpt@20")
    if "," in method:
        raise InputError(f"{head}: a stage has one method; give a `stage` for each")
    options = []
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name or name.startswith("-"):
            shown = name if len(name) <= 30 else f"{name[:30]}..."
            raise InputError(
                f"{shown!r}: what follows METHOD:MODEL@DEPTH is written name=value, without "
                "dashes before the name, with quotes around a value that has spaces"
            )
        options.append((name.replace("-", "_"), value))
    return StageNotation(method, model or None, int(after) if at else None, tuple(options))


def format_stage(stage: StageNotation) -> str:
    """Writes a stage so that ``parse_stage`` reads it again."""
    model = f":{stage.model}" if stage.model else ""
    depth = f"@{stage.depth}" if stage.depth else ""
    return shlex.join(
        [f"{stage.method}{model}{depth}", *(f"{name}={value}" for name, value in stage.options)]
    )


def hide_stage(text: str) -> str:
    """A stage as a manifest may show it: without the values of its headers."""
    if _HEADER not in text:
        return text
    try:
        words = _split(text)
    except InputError:
        return "***"
    return shlex.join(
        _HEADER + hide_header(word.removeprefix(_HEADER)) if word.startswith(_HEADER) else word
        for word in words
    )


def _split(text: str) -> Sequence[str]:
    try:
        words = shlex.split(text)
    except ValueError:
        raise InputError("a quotation mark is not closed") from None
    if not words:
        raise InputError("a stage is empty; write METHOD:MODEL@DEPTH")
    return words
