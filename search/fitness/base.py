"""The base of problems, and what several kinds of problem share."""

import logging
import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from hashlib import blake2b
from itertools import islice
from statistics import fmean
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from rankprompt.errors import ModelError
from rankprompt.journal.cached_model import CachedModel
from rankprompt.journal.costs import Costs
from rankprompt.journal.store import Journal
from rankprompt.llm.base import Answer, LanguageModel, Request
from rankprompt.prompts.template import Template
from rankprompt.search.config import SearchConfig
from rankprompt.search.genome import Segment, segment
from rankprompt.search.served_model import ServedModel

__all__ = [
    "SPLITS", "Fitness", "ItemProblem", "Measures", "Problem", "digest", "piecewise_reward",
    "shared_prefix", "take_share",
]  # fmt: skip

log = logging.getLogger("rankprompt")

Item = TypeVar("Item")

SPLITS = ("search", "calibration", "test")

Measures: TypeAlias = Mapping[str, float]
"""Values by measure, higher is better; calibration ranks by the first."""


class Fitness(Protocol):
    """Scores prompts; what a search maximises."""

    def __call__(self, prompts: Sequence[Template], /, *, share: float) -> Sequence[float]:
        """Scores distinct prompts in one batch, all on the same examples.

        Args:
            prompts: the prompts.
            share: the share of the examples to score on, above 0 and up to 1; the examples of a
                smaller share are among those of a larger one.

        Returns:
            A score for each prompt, in the same order; higher is better, any sign. A score that is
            not finite marks the prompt as infeasible.
        """


class ItemProblem(ABC, Generic[Item]):
    """A task with its data: a prompt is scored on items, such as labelled examples.

    Args:
        metric: the measure that a search maximises.
        config: holds the constants of the reward.

    Attributes:
        template: the seed prompt.
        frozen: texts of the seed prompt that are never pruned.
        labels: the number of labels that each split uses, and the demonstrations.
        about: what identifies the data, as JSON takes it.
    """

    template: Template
    frozen: Sequence[str]
    labels: Mapping[str, int]
    about: Mapping[str, object]

    def __init__(self, metric: str, config: SearchConfig) -> None:
        self._metric, self._config = metric, config
        self._tested: dict[Template, list[Measures]] = {}

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The segments of the seed prompt."""
        return segment(self.template, self.frozen)

    def check_model(self, model: LanguageModel) -> None:
        """Makes sure, before anything is written, that a model can take the requests.

        Raises:
            ModelError: it cannot, as where two options are the same tokens to its tokenizer.
        """
        for request in self._requests(self.template, self._items(model, "search", 1.0)[0]):
            model.length(request)

    def check_answers(self, model: ServedModel) -> Costs:
        """Asks a server about the seed prompt, before anything is written.

        Where the likely tokens that the server lists leave out an option, a warning names both.

        Returns:
            What it cost.

        Raises:
            ModelError: the server cannot answer such requests, or lists none of the options.
        """
        items = self._samples(self._items(model, "search", 1.0))
        requests = [request for item in items for request in self._requests(self.template, item)]
        cached = CachedModel(model, Journal(None))
        answers = [reply.answer for reply in cached.answer(requests) if reply.answer]
        names = self._option_names(requests[0])
        counts = [
            sum(answer.problem == "unlisted" or answer.tokens[place : place + 1] == (0,)
                for answer in answers)
            for place in range(len(names))
        ]  # fmt: skip
        listed = ", ".join(map(repr, model.listed))
        problems = {answer.problem for answer in answers}
        if problems == {"unlisted"} or (len(names) > 1 and min(counts) == len(answers)):
            raise ModelError(
                f"the server lists none of {', '.join(names)} among its likely tokens; it lists "
                f"{listed}: take answers that the model finds likely, or vLLM, which scores any"
            )
        if "" not in problems and "cut" not in problems:
            raise ModelError(f"{model.name} gives no answer to the seed prompt: {problems.pop()}")
        if any(counts):
            missing = ", ".join(
                f"{name} ({count} of {len(answers)} answers)"
                for name, count in zip(names, counts, strict=True)
                if count
            )
            log.warning(
                "the server does not list %s, which then counts as the least likely token listed: "
                "it lists %s", missing, listed,
            )  # fmt: skip
        return cached.costs

    def fitness(
        self, model: CachedModel, prompts: Sequence[Template], *, share: float = 1.0
    ) -> list[float]:
        """Scores prompts on the search split or a share of it, as a ``Fitness`` does."""
        items = self._items(model.model, "search", share)
        scored = self._score(model, prompts, items)
        return [fmean(measures[self._metric] for measures in by_item) for by_item in scored]

    def measures(
        self, model: CachedModel, prompts: Sequence[Template], split: str
    ) -> list[Measures]:
        """Gives the measures of prompts on a split, in the same order."""
        scored = self._score(model, prompts, self._items(model.model, split, 1.0))
        if split == "test":
            self._tested |= zip(prompts, scored, strict=True)
        return [
            {name: fmean(measures[name] for measures in by_item) for name in by_item[0]}
            for by_item in scored
        ]

    @abstractmethod
    def comparison(self, seed: Template, winner: Template) -> Mapping[str, object] | None:
        """Gives a paired test of two prompts that were measured on the test split, if there is one.

        Its ``measure``, ``wins`` and ``losses`` are of the winner against the seed, and
        ``mcnemar`` or ``randomisation`` is the p-value, None where there is none.
        """

    @abstractmethod
    def format_file(self, prompt: Template) -> str:
        """Writes the TOML file of a prompt."""

    @abstractmethod
    def _items(self, model: LanguageModel, split: str, share: float) -> list[Item]:
        """Gives the items of a split, or of a share of it."""

    @abstractmethod
    def _requests(self, prompt: Template, item: Item) -> list[Request]:
        """Gives the requests about an item."""

    @abstractmethod
    def _measure(self, item: Item, answers: Sequence[Answer]) -> Measures:
        """Gives the measures of the answers to an item's requests."""

    def _samples(self, items: Sequence[Item]) -> Sequence[Item]:
        """A few items, by which to find out what a server can answer."""
        return items[:1]

    def _option_names(self, request: Request) -> list[str]:
        """The options of a request, for messages."""
        return [repr(option) for option in request.options]

    def _score(
        self, model: CachedModel, prompts: Sequence[Template], items: Sequence[Item]
    ) -> list[list[Measures]]:
        """Gives the measures by prompt, then by item; all requests are one chunk."""
        requests = [[self._requests(prompt, item) for item in items] for prompt in prompts]
        chunk = [request for by_item in requests for some in by_item for request in some]
        # Without a budget, every request is answered.
        answers = iter([reply.answer for reply in model.answer(chunk) if reply.answer])
        return [
            [
                self._measure(item, list(islice(answers, len(some))))
                for item, some in zip(items, by_item, strict=True)
            ]
            for by_item in requests
        ]


Problem: TypeAlias = ItemProblem[Any]
"""A problem with items of any kind."""


def take_share(items: Sequence[Item], strata: Sequence[Hashable], share: float) -> list[Item]:
    """Takes a share of items, rounded up, in their order, as equal by stratum as possible.

    The items of a smaller share are among those of a larger one; a share of 1 gives all of them.
    """
    seen: Counter[Hashable] = Counter()
    turns = []
    for stratum in strata:
        turns.append(seen[stratum])
        seen[stratum] += 1
    taken = sorted(range(len(items)), key=turns.__getitem__)[: math.ceil(share * len(items))]
    return [items[index] for index in sorted(taken)]


def shared_prefix(prompt: Template) -> int:
    """Gives the length, in characters, of the text that all requests of a prompt share as tokens.

    It ends at the first slot, as few requests share more, and before the white space there, which a
    tokenizer may merge into the input's first token.
    """
    return len(prompt.parts[0].rstrip())


def digest(texts: Sequence[str]) -> str:
    """Gives the number of texts and a digest of their content and order."""
    content = blake2b("\0".join(texts).encode("utf-8", "surrogatepass"), digest_size=8)
    return f"{len(texts)}: {content.hexdigest()}"


def piecewise_reward(
    probabilities: Sequence[float] | None, right: int, config: SearchConfig
) -> float:
    """Gives the piecewise reward of an answer (RLPrompt, arXiv 2205.12548; arXiv 2506.17930).

    It is the gap between the right option's probability and the largest other one, times
    ``gain_right`` where the gap is positive (the answer is correct), else times ``gain_wrong``.

    Args:
        probabilities: of the options, normalised over these; None where they are not numbers.
        right: the index of the right option.
        config: holds the two gains.

    Returns:
        Higher is better; NaN, infeasible, without probabilities.
    """
    if probabilities is None:
        return math.nan
    others = (value for index, value in enumerate(probabilities) if index != right)
    gap = probabilities[right] - max(others)
    return gap * (config.gain_right if gap > 0 else config.gain_wrong)
