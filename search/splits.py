"""Splits: demonstrations, search, calibration and test, of which no two share an input."""

import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rankprompt.errors import FormatError, InputError
from rankprompt.files.text_lines import read_lines
from rankprompt.rankers.seeded_random import uniform
from rankprompt.search.tasks import ExampleTask

__all__ = ["Example", "SplitExamples", "read_examples", "shuffled", "split_examples"]

log = logging.getLogger("rankprompt")


class Example(NamedTuple):
    """An example: where it stands, its slots' texts, and the right answer."""

    path: Path
    line: int
    values: Mapping[str, str]
    label: str

    @property
    def name(self) -> str:
        """What tells it from others, wherever its file lies."""
        return f"{self.path.name}:{self.line}"


class SplitExamples(NamedTuple):
    """The examples by what they are for, each list in the order in which it was drawn."""

    demonstrations: list[Example]
    search: list[Example]
    calibration: list[Example]
    test: list[Example]


def read_examples(path: Path, task: ExampleTask) -> list[Example]:
    """Reads the examples of a file: JSONL, or TSV with a header line.

    A column that holds a list gives one slot an entry: ``options`` gives ``options_1``,
    ``options_2`` and so on. Numbers are taken as they are written.

    Raises:
        FormatError: a malformed line, a missing or blank column, a label without a verbaliser.
        InputError: the file cannot be read.
    """
    examples = []
    for line, row in _rows(path):
        values: dict[str, str] = {}
        for name, value in row.items():
            entries = value if isinstance(value, list) else [value]
            for place, entry in enumerate(entries, 1):
                name_of = f"{name}_{place}" if isinstance(value, list) else name
                values[name_of] = entry if isinstance(entry, str) else json.dumps(entry)
        for name in (*task.inputs, task.answer, task.label):
            if name not in values:
                raise FormatError(
                    path, line, f"no column {name!r}; there are {', '.join(sorted(values))}"
                )
        label = values[task.label]
        if task.verbalisers and label not in task.verbalisers:
            known = ", ".join(map(repr, task.verbalisers))
            raise FormatError(path, line, f"no verbaliser for the label {label!r}; known: {known}")
        values = {name: values[name] for name in (*task.inputs, task.answer)}
        if task.verbalisers:
            values[task.answer] = task.verbalisers[label]
        examples.append(Example(path, line, values, label))
    if not examples:
        raise FormatError(path, None, "the file holds no example")
    return examples


def _rows(path: Path) -> Iterable[tuple[int, dict[str, Any]]]:
    header: list[str] | None = None
    for line, text in read_lines(path):
        if header is None and text.lstrip().startswith("{"):
            header = []
        if header == []:
            try:
                row = json.loads(text)
            except ValueError as error:
                raise FormatError(path, line, f"not JSON: {error}") from error
            if not isinstance(row, dict):
                raise FormatError(path, line, "expected a JSON object")
            yield line, row
        elif header is None:
            header = text.split("\t")
        else:
            cells = text.split("\t")
            if len(cells) != len(header):
                problem = f"expected {len(header)} columns, as in the header, found {len(cells)}"
                raise FormatError(path, line, problem)
            yield line, dict(zip(header, cells, strict=True))


def shuffled(items: Sequence[Example], seed: int, purpose: str) -> list[Example]:
    """Examples in an order that seed and purpose decide, whatever their own."""
    return sorted(items, key=lambda one: uniform(seed, purpose, one.name))


def split_examples(task: ExampleTask, seed: int) -> SplitExamples:
    """Draws the demonstrations and the three splits.

    Of classes, demonstrations, search and calibration hold as many each as can be; the test split
    is drawn without regard to them.

    Args:
        task: names the files.
        seed: of demonstrations and search; the task's own draws calibration and test.

    Raises:
        InputError: a file holds too little, or two the same input; as ``read_examples``.
    """
    sizes = task.splits
    left = _disjoint(
        {name: read_examples(path, task) for name, path in _files(task).items()}, sizes.overlap
    )

    def draw(split: str, number: int, seed: int, *, balanced: bool = True) -> list[Example]:
        source = split if split in left else "train"
        drawn = _draw(task, left[source], number, shuffled_by=(seed, split), balanced=balanced)
        gone = {one.name for one in drawn}
        left[source] = [one for one in left[source] if one.name not in gone]
        return drawn

    # What is the same for all seeds is drawn first: then no seed's demonstrations are in it.
    test = draw("test", sizes.test, sizes.seed, balanced=False) if sizes.test else []
    calibration = draw("dev", sizes.calibration, sizes.seed)
    classes = max(1, len(task.verbalisers))
    demonstrations = draw("demonstrations", task.shots * classes, seed)
    search = draw("search", sizes.search, seed)
    if not sizes.test:
        source = "test" if "test" in left else "train"
        test = shuffled(left[source], sizes.seed, "test")
        if not test:
            raise InputError(f"no example of {task.train} is left for the test split")
    return SplitExamples(demonstrations, search, calibration, test)


def _files(task: ExampleTask) -> dict[str, Path]:
    named = {"train": task.train, "dev": task.dev, "test": task.test}
    return {name: path for name, path in named.items() if path is not None}


def _disjoint(files: Mapping[str, list[Example]], overlap: str) -> dict[str, list[Example]]:
    seen: dict[tuple[str, ...], Example] = {}
    kept: dict[str, list[Example]] = {}
    for name, examples in files.items():
        kept[name] = []
        for one in examples:
            content = tuple(one.values.values())[:-1]  # without the answer
            other = seen.setdefault(content, one)
            if other is one:
                kept[name].append(one)
            elif overlap == "refuse":
                raise InputError(
                    f"the splits would overlap: {one.path}:{one.line} holds the input of "
                    f'{other.path}:{other.line}; take one out, or set overlap = "drop" in '
                    "[splits], which leaves the later out"
                )
        if dropped := len(examples) - len(kept[name]):
            log.info("%s: %d inputs left out that stand before, too", examples[0].path, dropped)
    return kept


def _draw(
    task: ExampleTask,
    examples: Sequence[Example],
    number: int,
    *,
    shuffled_by: tuple[int, str],
    balanced: bool,
) -> list[Example]:
    split = shuffled_by[1]
    mixed = shuffled(examples, *shuffled_by)
    named = {"dev": "calibration"}.get(split, split)
    if len(mixed) < number:
        raise InputError(
            f"too few examples: {number} for {named}, and {len(mixed)} are left in its file"
        )
    if not balanced or not task.verbalisers:
        return mixed[:number]
    by_label: dict[str, list[Example]] = defaultdict(list)
    for one in mixed:
        by_label[one.label].append(one)
    drawn: list[Example] = []
    for place, label in enumerate(task.verbalisers):
        wanted = number // len(task.verbalisers) + (place < number % len(task.verbalisers))
        if len(by_label[label]) < wanted:
            raise InputError(
                f"too few examples of {label!r}: {wanted} for {named}, and "
                f"{len(by_label[label])} are left in its file"
            )
        drawn += by_label[label][:wanted]
    return shuffled(drawn, *shuffled_by)
