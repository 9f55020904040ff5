"""Tasks: what a prompt is evolved for. ``tasks`` reads them from TOML.

A task of the kinds ``classification``, ``choice`` (the same; the options of a choice are columns
like any others), ``math`` and ``generation`` has examples in JSONL or TSV files, and a template
that renders one with the answer last. A ``ranking`` task has a collection, its qrels, a first
stage's run, and a prompt file as its seed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from rankprompt.prompts.template import Template

__all__ = ["ExampleTask", "RankingTask", "Splits", "Task"]


@dataclass(frozen=True)
class Splits:
    """The sizes of the splits in examples (of a ranking, in queries); the splits are disjoint.

    Attributes:
        search: scored in every evaluation.
        calibration: scored for the best of the history.
        test: scored once, for the seed and the winner; 0 takes all examples that are left.
        seed: draws calibration and test; the search's own seed draws the demonstrations and the
            search split.
        overlap: "refuse" inputs that occur in two files, or "drop" them from the later file
            (train, dev, test).
    """

    search: int = 20
    calibration: int = 100
    test: int = 0
    seed: int = 0
    overlap: str = "refuse"


@dataclass(frozen=True)
class ExampleTask:
    """A task with labelled examples.

    Attributes:
        kind: the kind of task; not "ranking".
        train: the file of the demonstrations and the search split.
        template: renders one example; its last slot, at the end, is what the model is to write.
        dev: the file of the calibration split; None takes it from ``train``.
        test: the file of the test split; None takes it from ``train``.
        label: the column of the right answer; empty for the template's last slot.
        verbalisers: for classification and choice, the text of the answer by label.
        instruction: precedes the demonstrations.
        separator: stands between examples, and ends what a model writes.
        shots: the number of demonstrations: of each label for classification and choice, else of
            all.
        frozen: texts of the last example that are never pruned; its slots never are.
        metric: what the search maximises; a generation may name a function, ``module:function``,
            which is imported and run.
        chat: puts the prompt into the model's chat template.
        max_tokens: for math and generation, the most tokens that the model may write.
        splits: the sizes of the splits.
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
    splits: Splits = Splits()

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
    """A ranking task: which of two passages is more relevant to a query?

    Attributes:
        queries: the queries, as ``rerank`` reads them.
        docs: the documents, as ``rerank`` reads them.
        qrels: the relevance grades.
        run: the first stage's run; its top holds the hard negatives.
        prompt: the seed: the name of a shipped prompt, or a file.
        depth: the number of documents of a query that triples and rerankings are made of.
        gap: the smallest difference in grade between the better and the worse passage.
        triples: the most triples of a query.
        method: the ranking method of calibration.
        k: the ``k`` of that method.
        passage_tokens: the most tokens of a passage that are shown.
        frozen: as in ``ExampleTask``; without any, the line up to each passage and the last line.
        metric: what the search maximises.
        splits: the sizes of the splits, in queries.
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
    splits: Splits = Splits(10, 10)
    kind: str = "ranking"


Task: TypeAlias = ExampleTask | RankingTask
