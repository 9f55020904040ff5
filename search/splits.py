"""Splits: demonstrations, search, calibration and test, of which no two share an input."""

import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rankprompt.errors import FormatError, InputError
from rankprompt.files.json_objects import JsonLocation, is_missing
from rankprompt.files.text_lines import read_lines
from rankprompt.rankers.seeded_random import uniform
from rankprompt.search.task_types import ExampleTask

__all__ = ["Example", "SplitExamples", "read_examples", "split_examples"]

_WHOLE_FLOAT = re.compile(r"(-?[0-9]+)\.0*")

log = logging.getLogger("rankprompt")


class Example(NamedTuple):
    """An example: its file and line, the texts of the template's slots, and the right answer."""

    path: Path
    line: int
    values: Mapping[str, str]
    label: str

    @property
    def name(self) -> str:
        """Identifies the example among the task's files, wherever these are."""
        return f"{self.path.name}:{self.line}"


class SplitExamples(NamedTuple):
    """The examples of each split, in the order in which they were drawn."""

    demonstrations: list[Example]
    search: list[Example]
    calibration: list[Example]
    test: list[Example]


def read_examples(path: Path, task: ExampleTask) -> list[Example]:
    """Reads the examples of a file: JSONL, or TSV with a header line.

    A list in a column fills one slot for each entry: ``options`` fills ``options_1``, ``options_2``
    and so on. Numbers are taken as JSON writes them, but a label such as 1.0, which pandas writes
    for 1 where the column has gaps, is read as 1 where only that has a verbaliser.

    Raises:
        FormatError: a malformed line; two columns of one name; a missing column; an input or a
            label that is null or blank, or a label without a verbaliser.
        InputError: the file cannot be read.
    """
    examples = []
    for line, row in _read_rows(path):
        location = JsonLocation(path, line)
        columns: dict[str, str] = {}
        for name, value in row.items():
            slots = (
                {f"{name}_{number}": entry for number, entry in enumerate(value, 1)}
                if isinstance(value, list)
                else {name: value}
            )
            for slot, entry in slots.items():
                columns[slot] = _text(location, entry)
        for name in (*task.inputs, task.answer, task.label):
            if name not in columns:
                raise FormatError(
                    path, line, f"no column {name!r}; there are {', '.join(sorted(columns))}"
                )
            # A solution may be blank beside its label: only a demonstration would show it.
            if name in (*task.inputs, task.label) and not columns[name].strip():
                raise FormatError(path, line, f"the column {name!r} is blank; leave the line out")
        label = columns[task.label]
        if task.verbalisers:
            whole = _WHOLE_FLOAT.fullmatch(label)
            if whole and label not in task.verbalisers:
                label = whole[1]
            if label not in task.verbalisers:
                known = ", ".join(map(repr, task.verbalisers))
                problem = f"no verbaliser for the label {label!r}; known: {known}"
                raise FormatError(path, line, problem)
            columns[task.answer] = task.verbalisers[label]
        values = {name: columns[name] for name in (*task.inputs, task.answer)}
        examples.append(Example(path, line, values, label))
    if not examples:
        raise FormatError(path, None, "the file holds no example")
    return examples


def _text(location: JsonLocation, value: object) -> str:
    if isinstance(value, str):
        return location.encodable(value)
    try:
        return "" if is_missing(value) else location.encodable(json.dumps(value))
    except RecursionError as error:
        raise location.malformed(error) from error


def _read_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    header: list[str] | None = None
    for line, text in read_lines(path):
        if header is None:  # the first line tells JSONL from TSV
            header = [] if text.lstrip().startswith("{") else text.split("\t")
            for number, name in enumerate(header):
                if name in header[:number]:
                    raise FormatError(path, line, f"two columns have the name {name!r}")
            if header:
                continue
        if header:
            cells = text.split("\t")
            if len(cells) != len(header):
                problem = f"expected {len(header)} columns, as in the header, found {len(cells)}"
                raise FormatError(path, line, problem)
            yield line, dict(zip(header, cells, strict=True))
            continue
        yield line, dict(JsonLocation(path, line).parse(text, strict=False))


def split_examples(task: ExampleTask, seed: int) -> SplitExamples:
    """Draws the demonstrations and the three splits.

    Demonstrations, search and calibration are balanced by class; the test split is not.

    Args:
        task: names the files.
        seed: draws demonstrations and search; the task's own seed draws calibration and test.

    Raises:
        InputError: a file holds too few examples, or two files the same input; as
            ``read_examples``.
    """
    sizes, labels = task.splits, list(task.verbalisers)
    files = {"train": task.train, "dev": task.dev, "test": task.test}
    left = _drop_overlap(
        {name: read_examples(path, task) for name, path in files.items() if path}, sizes.overlap
    )

    def draw(purpose: str, number: int, seed: int, labels: Sequence[str]) -> list[Example]:
        source = purpose if purpose in left else "train"
        drawn = _draw(_shuffle(left[source], seed, purpose), number, purpose, labels)
        names = {example.name for example in drawn}
        left[source] = [example for example in left[source] if example.name not in names]
        return _shuffle(drawn, seed, purpose)

    # What all seeds share is drawn first, so that it holds no seed's demonstrations.
    test = draw("test", sizes.test, sizes.seed, []) if sizes.test else []
    calibration = draw("dev", sizes.calibration, sizes.seed, labels)
    demonstrations = draw("demonstrations", task.shots * max(1, len(labels)), seed, labels)
    search = draw("search", sizes.search, seed, labels)
    if not sizes.test:
        test = _shuffle(left["test" if "test" in left else "train"], sizes.seed, "test")
        if not test:
            raise InputError(f"no example of {task.train} is left for the test split")
    return SplitExamples(demonstrations, search, calibration, test)


def _shuffle(examples: Sequence[Example], seed: int, purpose: str) -> list[Example]:
    """Gives examples in an order that depends on seed and purpose, but not on their own order."""
    return sorted(examples, key=lambda example: uniform(seed, purpose, example.name))


def _drop_overlap(files: Mapping[str, list[Example]], overlap: str) -> dict[str, list[Example]]:
    """Drops the examples whose input occurred before, or refuses them."""
    first: dict[tuple[str, ...], Example] = {}
    kept: dict[str, list[Example]] = {}
    for name, examples in files.items():
        kept[name] = []
        for example in examples:
            inputs = tuple(example.values.values())[:-1]  # without the answer
            earlier = first.setdefault(inputs, example)
            if earlier is example:
                kept[name].append(example)
            elif overlap == "refuse":
                raise InputError(
                    f"the splits would overlap: {example.path}:{example.line} holds the input of "
                    f'{earlier.path}:{earlier.line}; take one out, or set overlap = "drop" in '
                    "[splits], which leaves the later out"
                )
        if dropped := len(examples) - len(kept[name]):
            log.info("%s: dropped %d inputs that occur before", examples[0].path, dropped)
    return kept


def _draw(
    shuffled: Sequence[Example], number: int, purpose: str, labels: Sequence[str]
) -> list[Example]:
    """Takes the first examples, as equal by label as possible; any, where there are no labels."""
    split = "calibration" if purpose == "dev" else purpose
    if len(shuffled) < number:
        raise InputError(
            f"too few examples: {number} for {split}, and {len(shuffled)} are left in its file"
        )
    if not labels:
        return list(shuffled[:number])
    drawn: list[Example] = []
    for index, label in enumerate(labels):
        share = number // len(labels) + (index < number % len(labels))
        of_label = [example for example in shuffled if example.label == label]
        if len(of_label) < share:
            raise InputError(
                f"too few examples of {label!r}: {share} for {split}, and {len(of_label)} are left "
                "in its file"
            )
        drawn += of_label[:share]
    return drawn
