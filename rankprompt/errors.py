"""What can go wrong, as a tree.

Every class below is a user's error or a broken system, told in one line that says what to do;
the command line prints that line and exits with ``exit_code``, never with a traceback.

* RankpromptError
    * InputError: a file or a value that the user gave cannot be used
        * FormatError: a malformed line, with its file and line number
        * MissingTextError: a candidate has no text
        * UnknownNameError: no such model, method, measure or prompt; the nearest name is offered
    * ModelError: a model cannot be loaded or cannot do what was asked
    * JournalError: the journal cannot be opened, or is somebody else's file
"""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

__all__ = [
    "FormatError",
    "InputError",
    "JournalError",
    "MissingTextError",
    "ModelError",
    "RankpromptError",
    "UnknownNameError",
]


class RankpromptError(Exception):
    """The root of the tree: ``except RankpromptError`` catches all that is ours."""

    exit_code = 2

    def __str__(self) -> str:
        """One line that no terminal takes for a command, whatever a file or server put into it."""
        text = super().__str__()
        return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions are pickled as a call of their class with the message alone, which those with
        # other arguments refuse: they would not come back from another process.
        return _restore, (type(self), self.args, self.__dict__)


def _restore(
    kind: type[RankpromptError], args: tuple[Any, ...], state: dict[str, Any]
) -> RankpromptError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class InputError(RankpromptError):
    """A file or a value that the user gave cannot be used."""


class FormatError(InputError):
    """A malformed line.

    Args:
        path: the file.
        line: the line's number, from 1; None where the whole file is meant.
        problem: what was found and what was expected.
    """

    def __init__(self, path: Path | str, line: int | None, problem: str) -> None:
        where = f"{path}:{line}" if line is not None else f"{path}"
        super().__init__(f"{where}: {problem}")
        self.path, self.line, self.problem = Path(path), line, problem


class MissingTextError(InputError):
    """A candidate has no text in the documents that were given."""


class UnknownNameError(InputError):
    """A name that no table knows.

    Args:
        kind: what the name was meant to be, such as "method".
        name: what the user wrote.
        known: the names there are.
        hint: a sentence to add.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        names = sorted(known)
        near = get_close_matches(name.lower(), names, n=1, cutoff=0.5)
        guess = f"; did you mean {near[0]!r}?" if near else "."
        super().__init__(
            f"unknown {kind} {name!r}{guess} Known: {', '.join(names)}. {hint}".strip()
        )


class ModelError(RankpromptError):
    """A model cannot be loaded, or cannot do what was asked of it."""


class JournalError(RankpromptError):
    """The journal cannot be opened, or the file is somebody else's."""
