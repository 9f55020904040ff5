"""Tasks: what a prompt is evolved for, from a TOML file.

A task of the kinds ``classification``, ``choice`` (the same: a choice's options are columns like
any others), ``math`` and ``generation`` has examples in JSONL or TSV files and a template that
renders one, the answer last. A ``ranking`` task has a collection, its qrels and a first stage's
run, and a prompt file as its seed. Files are named from the task file's folder. The files in
``search/examples`` show every key.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from rankprompt.errors import UnknownNameError
from rankprompt.files.toml import read_toml
from rankprompt.prompts.template import Template, parse_template

__all__ = ["KINDS", "METRICS", "ExampleTask", "RankingTask", "Splits", "Task", "load_task"]

KINDS = ("classification", "choice", "math", "generation", "ranking")
METRICS: Mapping[str, tuple[str, ...]] = {
    "classification": ("reward", "accuracy"),
    "choice": ("reward", "accuracy"),
    "math": ("exact-number",),
    "generation": ("token-f1", "exact-match", "rouge-l"),
    "ranking": ("reward", "accuracy"),
}
"""What the search goes by, by kind; the first is the default."""


@dataclass(frozen=True)
class Splits:
    """How many examples (of a ranking: queries) each split has; no example is in two.

    Attributes:
        search: scored in every evaluation.
        calibration: scored for the best of the history.
        test: scored once, for the seed and the winner; 0 takes all that are left.
        seed: of the draw of calibration and test; the search's own seed draws the demonstrations
            and the search split.
        overlap: "refuse" where two files hold the same input, or "drop" it from the later file
            (train, dev, test).
    """

    search: int = 20
    calibration: int = 100
    test: int = 0
    seed: int = 0
    overlap: str = "refuse"


@dataclass(frozen=True)
class ExampleTask:
    """A task with examples.

    Attributes:
        kind: of ``KINDS``, but not ranking.
        train: demonstrations and the search split come from here.
        template: one example; its last slot, at its end, is what the model is to write.
        dev: the calibration split comes from here; from ``train`` where there is none.
        test: the test split comes from here; from ``train`` where there is none.
        label: the column of the right answer; the template's last slot where it is not named.
        verbalisers: for classification and choice, the answer's text by label.
        instruction: stands before the demonstrations.
        separator: stands between examples; what a model writes ends where it begins.
        shots: demonstrations: for classification and choice of each label, else in all.
        frozen: texts of the last example that are never pruned; its slots never are.
        metric: what the search goes by; for generation, it may be ``module:function``, which is
            imported and run.
        chat: put the prompt into the model's chat template.
        max_tokens: for math and generation, what the model may write.
        splits: how much each part gets.
    """

    kind: str
    train: Path
    template: Template
    dev: Path | None = None
    test: Path | None = None
    label: str = ""
    verbalisers: Mapping[str, str] = field(default_factory=dict)
    instruction: str = ""
    separator: str = "\n\n"
    shots: int = 1
    frozen: tuple[str, ...] = ()
    metric: str = ""
    chat: bool = False
    max_tokens: int = 64
    splits: Splits = field(default_factory=Splits)

    @property
    def answer(self) -> str:
        """The slot of what the model is to write."""
        return self.template.parts[-2]

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns of the input, in the template's order."""
        return tuple(dict.fromkeys(self.template.parts[1:-2:2]))


@dataclass(frozen=True)
class RankingTask:
    """A task of ranking: which of two passages is the more relevant?

    Attributes:
        queries: as ``rerank`` reads them.
        docs: as ``rerank`` reads them.
        qrels: grades.
        run: the first stage; its top holds the hard negatives.
        prompt: the seed: a shipped name or a file.
        depth: how deep into the run triples and reranking go.
        gap: the least difference in grade between the better and the worse passage.
        triples: of a query, at the most.
        method: of the reranking that calibrates.
        k: of that method.
        passage_tokens: of a passage that are shown, at the most.
        frozen: as in ``ExampleTask``; where none are named, the line up to each passage and the
            last line.
        metric: what the search goes by.
        splits: in queries.
    """

    queries: Path
    docs: Path
    qrels: Path
    run: Path
    prompt: str = "prp-demonstrations"
    depth: int = 20
    gap: int = 1
    triples: int = 4
    method: str = "heapsort"
    k: int = 10
    passage_tokens: int = 128
    frozen: tuple[str, ...] = ()
    metric: str = ""
    splits: Splits = field(default_factory=lambda: Splits(10, 10))
    kind: str = "ranking"


Task: TypeAlias = ExampleTask | RankingTask


_Take: TypeAlias = Callable[[str, Any, Path], Any]
"""Turns a key's value into a field's, given the folder of the task file."""


def load_task(path: Path) -> Task:
    """Reads a task file, and checks all that can be checked without its data.

    Raises:
        InputError: the file cannot be read, or says what cannot work; names the key.
    """
    return read_toml(path, partial(_task, path.parent))


def _task(folder: Path, content: dict[str, Any]) -> Task:
    kind = content.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise UnknownNameError("kind", str(kind), KINDS)
    made: type[Task] = RankingTask if kind == "ranking" else ExampleTask
    splits = content.pop("splits", {})
    if not isinstance(splits, dict):
        raise ValueError("splits must be a table, [splits]")
    default = Splits(10, 10) if kind == "ranking" else Splits()
    values = _typed(made, content, folder)
    values["splits"] = Splits(**{**vars(default), **_typed(Splits, splits, folder)})
    values["metric"] = values.get("metric") or METRICS[kind][0]
    try:
        task = made(**values)
    except TypeError as error:
        needed = ("queries", "docs", "qrels", "run") if kind == "ranking" else ("train", "template")
        missing = [name for name in needed if name not in values]
        raise ValueError(f"lacks the key {missing[0] if missing else error!r}") from error
    _check_numbers(task)
    if task.metric not in METRICS[kind]:
        own = kind == "generation"
        if not own or not re.fullmatch(r"[\w.]+:\w+", task.metric):
            hint = "Or name a function of yours, as module:function." if own else ""
            raise UnknownNameError("metric", task.metric, METRICS[kind], hint)
    return _check_ranking(task) if isinstance(task, RankingTask) else _check_examples(task)


def _typed(made: Any, content: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The values of a table as the dataclass's fields take them."""
    known = {one.name: str(one.type) for one in fields(made) if one.name != "splits"}
    values: dict[str, Any] = {}
    for key, value in content.items():
        if key not in known:
            raise UnknownNameError("key", key, known)
        take = next(take for kind, take in _TAKERS.items() if kind in known[key])
        values[key] = take(key, value, folder)
    # A prompt is a file there, or else a shipped name.
    if (prompt := folder / values.get("prompt", "")).is_file():
        values["prompt"] = str(prompt)
    return values


def _taker(wanted: str, fits: Callable[[Any], bool], make: Callable[[Any, Path], Any]) -> _Take:
    def take(key: str, value: Any, folder: Path) -> Any:
        if not fits(value):
            raise ValueError(f"{key} must be {wanted}, not {value!r}")
        return make(value, folder)

    return take


def _as_it_is(value: Any, _: Path) -> Any:
    return value


def _is_text(value: object) -> bool:
    return isinstance(value, str)


# By what the field's type is called; the first that fits.
_TAKERS: Mapping[str, _Take] = {
    "Path": _taker("a file's name", _is_text, lambda value, at: at / Path(value).expanduser()),
    "Template": _taker("a text", _is_text, lambda value, _: parse_template(value)),
    "tuple": _taker(
        "a list of texts",
        lambda value: isinstance(value, list) and all(map(_is_text, value)),
        lambda value, _: tuple(value),
    ),
    "Mapping": _taker(
        "a table of texts",
        lambda value: isinstance(value, dict) and all(map(_is_text, value.values())),
        _as_it_is,
    ),
    "bool": _taker("true or false", lambda value: isinstance(value, bool), _as_it_is),
    "int": _taker("a whole number", lambda value: type(value) is int, _as_it_is),
    "str": _taker("a text", _is_text, _as_it_is),
}


def _check_numbers(task: Task) -> None:
    least = {"search": 1, "calibration": 1, "test": 0, "shots": 0, "gap": 1, "triples": 1}
    least |= {"depth": 2, "k": 1, "passage_tokens": 1, "max_tokens": 1}
    for name, value in {**vars(task), **vars(task.splits)}.items():
        if name in least and value < least[name]:
            raise ValueError(f"{name} must be at least {least[name]}, not {value}")
    if task.splits.overlap not in ("refuse", "drop"):
        raise UnknownNameError("overlap", task.splits.overlap, ("refuse", "drop"))


def _check_ranking(task: RankingTask) -> RankingTask:
    from rankprompt.rankers import PAIRWISE, method

    method(task.method)
    if task.method not in PAIRWISE:
        raise UnknownNameError("method of pairs", task.method, PAIRWISE)
    return task


def _check_examples(task: ExampleTask) -> ExampleTask:
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
    chooses = task.kind in ("classification", "choice")
    if chooses:
        _check_verbalisers(task.verbalisers)
    elif task.verbalisers:
        raise ValueError(f"verbalisers go with classification and choice, not with {task.kind}")
    label = task.label or task.answer
    if label in task.inputs:
        raise ValueError(f"the label {label!r} stands in the template's input")
    if chooses and label != task.answer:
        raise ValueError(f"the template must end with the slot {{{label}}}, not {{{task.answer}}}")
    return ExampleTask(**{**vars(task), "label": label})


def _check_verbalisers(verbalisers: Mapping[str, str]) -> None:
    if len(verbalisers) < 2:
        raise ValueError("give two verbalisers or more, a text by label, in [verbalisers]")
    for label, text in verbalisers.items():
        if not text.strip() or text != text.strip():
            raise ValueError(f"the verbaliser of {label!r} is blank or has blanks at an end")
        for other, longer in verbalisers.items():
            if label != other and longer == text:
                raise ValueError(
                    f"the labels {label!r} and {other!r} have one verbaliser, {text!r}"
                )
            if label != other and longer.startswith(text):
                raise ValueError(
                    f"the verbaliser {text!r} of {label!r} begins {longer!r} of {other!r}: one "
                    "would be scored within the other"
                )
