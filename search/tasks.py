"""Reading a task from its TOML file; ``search/examples`` shows every key.

Paths in the file are relative to its folder.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, replace
from functools import partial
from itertools import permutations
from pathlib import Path
from typing import TypeVar

from rankprompt.errors import UnknownNameError
from rankprompt.files.home import expand
from rankprompt.files.toml import read_toml
from rankprompt.prompts.template import Template, parse_template
from rankprompt.rankers import PAIRWISE, method
from rankprompt.search.fitness.choice import ChoiceProblem
from rankprompt.search.fitness.registry import TASK_KINDS
from rankprompt.search.task_types import ExampleTask, Splits, Task

__all__ = ["load_task"]

T = TypeVar("T")

_EXPECTED: Mapping[object, str] = {
    Path: "a file's name",
    Path | None: "a file's name",
    Template: "a text",
    tuple[str, ...]: "a list of texts",
    Mapping[str, str]: "a table of texts",
    bool: "true or false",
    int: "a whole number",
    str: "a text",
    Splits: "a table, [splits]",
}
_LEAST = {
    "search": 1, "calibration": 1, "test": 0, "shots": 0, "gap": 1, "triples": 1, "depth": 2,
    "k": 1, "passage_tokens": 1, "max_tokens": 1,
}  # fmt: skip


def load_task(path: Path) -> Task:
    """Reads a task file, and checks all that can be checked without its data.

    Raises:
        InputError: the file cannot be read, or a value cannot work; the message names the key.
    """
    return read_toml(path, partial(_read_task, path.parent))


def _read_task(folder: Path, table: Mapping[str, object]) -> Task:
    name = table.get("kind")
    if not isinstance(name, str) or name not in TASK_KINDS:
        raise UnknownNameError("kind", str(name), TASK_KINDS)
    kind = TASK_KINDS[name]
    make: Callable[..., Task] = kind.task
    task = _read_table(make, table, folder, kind.task)
    if not task.metric:
        task = replace(task, metric=kind.metrics[0])
    is_own = kind.allows_own_metric and re.fullmatch(r"[\w.]+:\w+", task.metric)
    if task.metric not in kind.metrics and not is_own:
        hint = "Or name a function of yours, as module:function." if kind.allows_own_metric else ""
        raise UnknownNameError("metric", task.metric, kind.metrics, hint)
    if task.splits.overlap not in ("refuse", "drop"):
        raise UnknownNameError("overlap", task.splits.overlap, ("refuse", "drop"))
    if isinstance(task, ExampleTask):
        _check_examples(task, has_verbalisers=kind.problem is ChoiceProblem)
        return replace(task, label=task.label or task.answer)
    method(task.method)
    if task.method not in PAIRWISE:
        raise UnknownNameError("method of pairs", task.method, PAIRWISE)
    # A prompt's file beside the task file precedes a shipped prompt.
    path = folder / task.prompt
    return replace(task, prompt=str(path)) if path.is_file() else task


def _read_table(
    kind: Callable[..., T], table: Mapping[str, object], folder: Path, defaults: object
) -> T:
    """Makes a dataclass of a table: its fields are the known keys, and their types the values'."""
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type] # a dataclass
    for key in table:
        if key not in known:
            raise UnknownNameError("key", key, set(known) - {"splits"})
    values: list[object] = []
    for key, field in known.items():
        default = getattr(defaults, key, MISSING)
        if key in table:
            values.append(_convert(key, table[key], field.type, folder, default))
        elif default is not MISSING:
            values.append(default)
        elif field.default_factory is not MISSING:
            values.append(field.default_factory())
        else:
            raise ValueError(f"lacks the key {key!r}")
    return kind(*values)


def _convert(key: str, value: object, kind: object, folder: Path, default: object) -> object:
    match value:
        case str() if kind in (Path, Path | None) and "\0" not in value:
            return folder / expand(value)
        case str() if kind is Template:
            return parse_template(value)
        case str() if kind is str:
            return value
        case bool() if kind is bool:
            return value
        case int() if kind is int and not isinstance(value, bool):
            if value < _LEAST.get(key, value):
                raise ValueError(f"{key} must be at least {_LEAST[key]}, not {value}")
            return value
        case list() if kind == tuple[str, ...] and all(isinstance(text, str) for text in value):
            return tuple(value)
        case dict() if kind is Splits:
            return _read_table(Splits, value, folder, default)
        case dict() if kind == Mapping[str, str] and all(
            isinstance(text, str) for text in value.values()
        ):
            return value
    raise ValueError(f"{key} must be {_EXPECTED[kind]}, not {value!r}")


def _check_examples(task: ExampleTask, *, has_verbalisers: bool) -> None:
    parts = task.template.parts
    if len(parts) < 5:
        raise ValueError(
            "the template needs a slot for the input and one for the answer, as in 'Review: "
            f"{{text}}\\nSentiment: {{label}}'; found {str(task.template)!r}"
        )
    if parts[-1].strip():
        raise ValueError(f"the template must end with the answer's slot, not with {parts[-1]!r}")
    if task.answer in task.inputs:
        raise ValueError(f"the answer's slot {{{task.answer}}} stands in the input, too")
    if not task.separator:
        raise ValueError("separator must not be empty")
    files = [path.resolve() for path in (task.train, task.dev, task.test) if path]
    if len(set(files)) < len(files):
        raise ValueError("one file is named for two of train, dev and test: they would overlap")
    label = task.label or task.answer
    if label in task.inputs:
        raise ValueError(f"the label {label!r} stands in the template's input")
    if has_verbalisers:
        _check_verbalisers(task.verbalisers)
        if label != task.answer:
            problem = f"the slot {{{label}}}, not {{{task.answer}}}"
            raise ValueError(f"the template must end with {problem}")
    elif task.verbalisers:
        raise ValueError(f"verbalisers go with classification and choice, not with {task.kind}")


def _check_verbalisers(verbalisers: Mapping[str, str]) -> None:
    if len(verbalisers) < 2:
        raise ValueError("give two verbalisers or more, a text by label, in [verbalisers]")
    for label, text in verbalisers.items():
        if not text.strip() or text != text.strip():
            raise ValueError(f"the verbaliser of {label!r} is blank or has blanks at an end")
    for (label, text), (other, longer) in permutations(verbalisers.items(), 2):
        if longer == text:
            raise ValueError(f"the labels {label!r} and {other!r} have one verbaliser, {text!r}")
        if longer.startswith(text):
            raise ValueError(
                f"the verbaliser {text!r} of {label!r} begins {longer!r} of {other!r}: one would "
                "be scored within the other"
            )
