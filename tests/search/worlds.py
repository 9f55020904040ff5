"""Small tasks of our own, and a model that reads them by rules."""

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Generic, TypeVar

from rankprompt.journal.cached_model import CachedModel
from rankprompt.journal.store import Journal
from rankprompt.llm.base import Answer, LanguageModel, Request
from rankprompt.llm.tokenizer_offsets import Offsets
from rankprompt.prompts.template import Template, parse_template
from rankprompt.search import SearchConfig
from rankprompt.search.fitness.base import Measures, Problem
from rankprompt.search.fitness.registry import make_problem
from rankprompt.search.tasks import load_task
from tests.search.toys import words

__all__ = [
    "RANKING",
    "TASK",
    "Scorer",
    "offsets",
    "opinion",
    "problem_of",
    "scorer_of",
    "write_ranking",
    "write_task",
]

P = TypeVar("P", bound=Problem)

TASK = """\
kind = "classification"
train = "train.jsonl"
dev = "dev.jsonl"
test = "test.jsonl"
template = "Review: {text}\\nMood: {label}"

[verbalisers]
bad = "gloomy"
good = "cheerful"

[splits]
search = 4
calibration = 4
"""
RANKING = """\
kind = "ranking"
queries = "queries.tsv"
docs = "docs.jsonl"
qrels = "qrels.trec"
run = "run.trec"
depth = 5
triples = 2

[splits]
search = 2
calibration = 2
"""


def offsets(_: str) -> Offsets:
    """The tokenizer of any model here: words."""
    return words


def write_task(folder: Path, task: str = TASK, sizes: Sequence[int] = (12, 8, 6)) -> Path:
    """A task file and its data, half of each label."""
    for name, size in zip(("train", "dev", "test"), sizes, strict=True):
        rows = [
            {"text": f"{name} {number}", "label": ("bad", "good")[number % 2]}
            for number in range(size)
        ]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = folder / "task.toml"
    path.write_text(task)
    return path


def opinion(request: Request) -> Answer:
    """Knows odd numbers for cheerful, and the surer the shorter the prompt is."""
    number = int(re.findall(r"\d+", request.prompt)[-1])
    sure = 1 / (1 + len(request.prompt) / 100)
    cheerful = 0.5 + (0.4 if number % 2 else -0.4) * sure
    shares = {" cheerful": cheerful, " gloomy": 1 - cheerful}
    return Answer(tuple(math.log(shares[one]) for one in request.options), (1, 1))


def write_ranking(folder: Path, task: str = RANKING) -> Path:
    """A collection of six queries, each with five passages; "good" ones are at odd places."""
    names = [(f"q{query}", f"q{query}d{place}") for query in range(6) for place in range(5)]
    (folder / "queries.tsv").write_text("".join(f"q{n}\tquestion {n}\n" for n in range(6)))
    (folder / "docs.jsonl").write_text(
        "".join(
            json.dumps({"id": d, "text": f"{d} is {'good' if int(d[-1]) % 2 else 'poor'}"}) + "\n"
            for _, d in names
        )
    )
    (folder / "qrels.trec").write_text(
        "".join(f"{q} 0 {d} {2 * (int(d[-1]) % 2)}\n" for q, d in names)
    )
    (folder / "run.trec").write_text(
        "".join(f"{q} Q0 {d} {int(d[-1]) + 1} {9 - int(d[-1])} first\n" for q, d in names)
    )
    path = folder / "task.toml"
    path.write_text(task)
    return path


class Scorer(Generic[P]):
    """A problem before one model, whose prompts are given as texts."""

    def __init__(self, problem: P, model: LanguageModel) -> None:
        self.problem, self._model = problem, CachedModel(model, Journal(None))

    def __call__(self, prompts: Sequence[str], *, share: float = 1.0) -> list[float]:
        """The fitness of prompts."""
        return self.problem.fitness(self._model, _templates(prompts), share=share)

    def measures(self, prompts: Sequence[str], split: str) -> list[Measures]:
        """What prompts are worth on a split."""
        return self.problem.measures(self._model, _templates(prompts), split)


def _templates(prompts: Sequence[str]) -> list[Template]:
    return [parse_template(prompt) for prompt in prompts]


def problem_of(path: Path, seed: int = 0) -> Problem:
    """The problem of a task file."""
    return make_problem(load_task(path), SearchConfig(seed=seed))


def scorer_of(path: Path, model: LanguageModel, kind: type[P]) -> Scorer[P]:
    """The problem of a task file, which must be of this kind, before a model."""
    problem = problem_of(path)
    assert isinstance(problem, kind)
    return Scorer(problem, model)
