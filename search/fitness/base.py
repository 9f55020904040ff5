"""The interface of a problem, and what several kinds of problem share."""

import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from hashlib import blake2b
from typing import Protocol, TypeAlias, TypeVar

from rankprompt.journal.cached_model import CachedModel
from rankprompt.llm.base import LanguageModel
from rankprompt.prompts.prompt import Template
from rankprompt.search.config import SearchConfig
from rankprompt.search.genome import Segment

__all__ = [
    "SPLITS",
    "Fitness",
    "Measures",
    "Problem",
    "digest",
    "piecewise_reward",
    "shared_prefix",
    "take_share",
]

T = TypeVar("T")

SPLITS = ("search", "calibration", "test")

Measures: TypeAlias = Mapping[str, float]
"""Values by measure, higher is better; calibration ranks by the first."""


class Fitness(Protocol):
    """Scores prompts; what a search maximises."""

    def __call__(self, prompts: Sequence[Template], /, *, share: float) -> Sequence[float]:
        """Scores prompts in one batch, all on the same examples.

        Args:
            prompts: distinct prompts.
            share: the share of the examples to score on, above 0 and up to 1; the examples of a
                smaller share are among those of a larger one.

        Returns:
            A score for each prompt, in the same order; higher is better, any sign. A score that is
            not finite marks the prompt as infeasible.
        """


class Problem(Protocol):
    """A task with its data.

    Attributes:
        labels: the number of labels that each split uses, and the demonstrations.
        about: what identifies the data, as JSON takes it.
    """

    labels: Mapping[str, int]
    about: Mapping[str, object]

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The seed prompt."""

    def check_model(self, model: LanguageModel) -> None:
        """Makes sure that a model can take the problem's requests.

        Raises:
            ModelError: it cannot, as where two answers are the same tokens to its tokenizer.
        """

    def fitness(
        self, model: CachedModel, prompts: Sequence[Template], *, share: float
    ) -> list[float]:
        """Scores prompts on the search split or a share of it, as a ``Fitness`` does."""

    def measures(
        self, model: CachedModel, prompts: Sequence[Template], split: str
    ) -> list[Measures]:
        """Gives the measures of prompts on a split, in the same order."""

    def comparison(self, seed: Template, winner: Template) -> Mapping[str, object] | None:
        """Gives a paired test of two prompts that were measured on the test split, if there is one.

        Its ``measure``, ``wins`` and ``losses`` are of the winner against the seed, and
        ``mcnemar`` or ``randomisation`` is the p-value, None where there is none.
        """

    def format_file(self, prompt: Template) -> str:
        """Writes the TOML file of a prompt."""


def take_share(items: Sequence[T], strata: Sequence[Hashable], share: float) -> list[T]:
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

    It ends at the first slot, as later prefixes would be shared by few requests, and before the
    white space there: the tokenizer may merge that into the input's first token, and the prompt
    would have two prefixes.
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
