"""``spent.jsonl``: what an evolution spent on a server, summed over the processes that ran it."""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Self

from rankprompt.errors import InputError
from rankprompt.journal.budget import Budget
from rankprompt.journal.costs import Costs

__all__ = ["SPENT_FILE", "Spending", "describe_spending"]

SPENT_FILE = "spent.jsonl"

_FIELDS = ("prompts", "tokens", "written")


class Spending:
    """A file with a line for each batch that a server answered, as a context.

    The prices of tokens read and written differ, and the journal does not tell them apart. A line
    that a killed process has left half written is left out: what it lost is at most one batch.

    Args:
        folder: a run folder, which this process has to itself.

    Attributes:
        costs: what all processes spent so far: prompts, tokens and written tokens.

    Raises:
        InputError: the file cannot be read or written.
    """

    def __init__(self, folder: Path) -> None:
        self.costs, path = Costs(), folder / SPENT_FILE
        try:
            self._file: IO[bytes] = path.open("a+b")
            self._file.seek(0)
            content = self._file.read()
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror or error}") from error
        self._path = path
        for line in content.splitlines():
            with suppress(ValueError, TypeError):
                self.costs.merge(_parse(json.loads(line)))
        if content and not content.endswith(b"\n"):
            self._write(b"\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, costs: Costs) -> None:
        """Adds the costs of a batch.

        Raises:
            InputError: they cannot be written, as on a full disk.
        """
        self.costs.merge(costs)
        line = {name: getattr(costs, name) for name in _FIELDS}
        self._write(json.dumps(line).encode() + b"\n")

    def _write(self, line: bytes) -> None:
        try:
            self._file.write(line)
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise InputError(f"cannot write {self._path}: {error.strerror or error}") from error


def describe_spending(costs: Costs, budget: Budget) -> dict[str, int | float]:
    """What was spent, for the result; the money is in the currency of the budget's prices."""
    spent: dict[str, int | float] = {name: getattr(costs, name) for name in _FIELDS}
    if budget.price_in or budget.price_out:
        spent["cost"] = round(budget.price(costs), 6)
    return spent


def _parse(line: Any) -> Costs:
    """Reads a line.

    Raises:
        ValueError: it is none of ours.
        TypeError: likewise.
    """
    if set(line) != set(_FIELDS) or not all(type(value) is int for value in line.values()):
        raise ValueError("not the costs of a batch")
    return Costs(**line)
