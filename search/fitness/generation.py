"""Tasks in which the model writes: math (the last number counts) and short answers."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean

from rankprompt.answering import Answering
from rankprompt.files.toml import format_toml
from rankprompt.search.fitness import Measures
from rankprompt.search.fitness.examples import (
    about,
    labels,
    make_request,
    seed_segments,
)
from rankprompt.search.genome import Segment
from rankprompt.search.splits import split_examples
from rankprompt.search.tasks import METRICS, ExampleTask

__all__ = ["GenerationProblem", "exact_match", "exact_number", "last_number", "token_f1"]

_NUMBER = re.compile(r"[-\u2212]?\d[\d,]*(?:\.\d+)?|[-\u2212]?\.\d+")


def last_number(text: str) -> str | None:
    """The last number of a text in plain form ("1,200.50" is "1200.5"); None without one."""
    found = _NUMBER.findall(text)
    if not found:
        return None
    plain = found[-1].replace(",", "").replace("\u2212", "-")
    whole, _, part = plain.partition(".")
    part = part.rstrip("0")
    sign, digits = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    digits = digits.lstrip("0") or "0"
    return f"{sign if digits != '0' or part else ''}{digits}{'.' + part if part else ''}"


def exact_number(written: str, right: str) -> float:
    """1 where the last numbers are the same, else 0."""
    found = last_number(written)
    return float(found is not None and found == last_number(right))


def exact_match(written: str, right: str) -> float:
    """1 where the texts' words are the same, whatever their case, else 0."""
    return float(_words(written) == _words(right))


def token_f1(written: str, right: str) -> float:
    """The harmonic mean of precision and recall over words, each as often as it stands there."""
    one, other = Counter(_words(written)), Counter(_words(right))
    same = (one & other).total()
    return 2 * same / (one.total() + other.total()) if same else float(one == other)


_METRICS: Mapping[str, Callable[[str, str], float]] = {
    "exact-number": exact_number,
    "exact-match": exact_match,
    "token-f1": token_f1,
}


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


class GenerationProblem:
    """Scores prompts by what the model writes, up to the separator of examples.

    Args:
        task: of kind math or generation.
        answering: the model behind its journal, without a budget.
        seed: draws the demonstrations and the search split.

    Attributes:
        splits: the examples.
        labels: how many labels each split uses.
        about: the examples by content, as JSON takes it.
    """

    def __init__(self, task: ExampleTask, answering: Answering, seed: int) -> None:
        self.splits = split_examples(task, seed)
        self.labels: Mapping[str, int] = labels(self.splits)
        self.about = about(self.splits)
        self._task, self._answering = task, answering
        self._names = sorted(METRICS[task.kind], key=lambda name: name != task.metric)

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The seed prompt."""
        return seed_segments(self._task, self.splits.demonstrations)

    def __call__(self, prompts: Sequence[str], /) -> list[float]:
        """The task's metric on the search split."""
        return [one[self._task.metric] for one in self.measures(prompts, "search")]

    def measures(self, prompts: Sequence[str], split: str) -> list[Measures]:
        """The metrics on a split, by prompt; the task's own first."""
        task, examples = self._task, getattr(self.splits, split)
        requests = [
            make_request(prompt, one, max_tokens=task.max_tokens, chat=task.chat)
            for prompt in prompts
            for one in examples
        ]
        answers, _ = self._answering(requests)
        written = [
            answer.text.lstrip().split(task.separator.rstrip(" "))[0]
            for answer in answers
            if answer
        ]
        found: list[Measures] = []
        for place in range(len(prompts)):
            texts = written[place * len(examples) : (place + 1) * len(examples)]
            pairs = [(text, one.label) for text, one in zip(texts, examples, strict=True)]
            found.append(
                {name: fmean(_METRICS[name](*pair) for pair in pairs) for name in self._names}
            )
        return found

    def comparison(self, seed: str, winner: str) -> Mapping[str, object] | None:
        """No test: F1 is no win or loss."""

    def file(self, prompt: str) -> str:
        """A TOML file with the prompt and how much may be written."""
        return format_toml(
            {
                "kind": self._task.kind,
                "text": prompt,
                "max_tokens": self._task.max_tokens,
                "chat": self._task.chat,
            }
        )
