"""The configuration of a search and of an evolution; the defaults are the papers' constants."""

from dataclasses import dataclass
from pathlib import Path

from rankprompt.errors import InputError
from rankprompt.llm.embedded import EMBEDDED
from rankprompt.pipeline.config import BudgetConfig, ModelConfig, RayConfig
from rankprompt.pipeline.config_option import check_values, option

__all__ = ["METHODS", "EvolveConfig", "SearchConfig"]

METHODS = ("gga", "ssga", "tapruning", "random", "unpruned")
"""The search methods that ``rankprompt.search.registry`` implements."""

_MODEL, _BUDGET, _RAY = ModelConfig(name=EMBEDDED), BudgetConfig(), RayConfig()


@dataclass(frozen=True)
class SearchConfig:
    """How prompts are searched for; the defaults are those of arXiv 2506.17930, section 4.

    The fields below are no options of the command line; those that are describe themselves.

    Attributes:
        tournament: the share of the parent pool in a tournament, rounded down, at least one.
        mutations: the numbers of tokens that a child may lose, each equally likely.
        start_pruned: the lowest and highest pruning rate of "pruned"; each copy draws its own.
        exhaustion: ends the search after this many generations without an unseen prompt.
        acceptance: TAPruning accepts a removal that keeps at least this share of the best score.
        gain_right: the factor of the piecewise reward for a correct answer.
        gain_wrong: the factor of the piecewise reward for a wrong answer.

    Raises:
        InputError: a value cannot work; the message names the field and what it allows.
    """

    method: str = option(
        "gga",
        "The search method: gga breeds a generation from one fixed population, ssga lets each "
        "child be a parent of the next; tapruning is hill climbing; random and unpruned are "
        "baselines.",
        choices=METHODS,
    )
    seed: int = option(
        0, "The seed of the demonstrations, the search split and all random draws of the search."
    )
    population: int = option(
        30, "The number of prompts that survive a generation.", minimum=1, maximum=100_000
    )
    offspring: int = option(
        50, "The number of children in a generation.", minimum=1, maximum=100_000
    )
    tournament: float = 0.20
    mutations: tuple[int, ...] = (1, 2, 3, 4)
    start: str = option(
        "seed",
        "The first population: copies of the seed prompt, or copies pruned at random.",
        choices=("seed", "pruned"),
    )
    start_pruned: tuple[float, float] = (0.05, 0.20)
    # Successive halving (arXiv 1502.07943) is not in the paper, and neither are restarts.
    rungs: int = option(
        1,
        "The rungs of successive halving: 3 scores a generation on a quarter of the search split, "
        "its better half on a half, and the better half of that on the whole.",
        minimum=1,
        maximum=30,
    )
    pareto: bool = option(
        False, "Make the prompt's length a second objective, which is minimised (NSGA-II)."
    )
    evaluations: int = option(
        10_000,
        "Score at most this many distinct prompts; a repeated prompt costs nothing.",
        minimum=1,
    )
    min_length: int = option(
        15,
        "End the search when the mean length of the population is at most this many tokens.",
        minimum=0,
    )
    restart: bool = option(
        False, "At the minimum length, start again from the seed, in place of ending the search."
    )
    stagnation: int | None = option(
        None,
        "End the search after this many generations without a better best.",
        otherwise="no limit",
        minimum=1,
    )
    exhaustion: int = 10
    minutes: float | None = option(
        None, "End the search after this many minutes, summed over resumes.", otherwise="no limit"
    )
    acceptance: float = 0.96
    calibrated: float = option(
        0.10, "The share of the history, best first, that calibration scores again."
    )
    gain_right: float = 200.0
    gain_wrong: float = 180.0

    def __post_init__(self) -> None:
        check_values(self)
        if self.exhaustion < 1:
            raise InputError(f"`exhaustion` must be at least 1, not {self.exhaustion}")
        for name in ("tournament", "acceptance", "calibrated"):
            if not 0 < getattr(self, name) <= 1:
                raise InputError(
                    f"`{name}` is a share above 0 and up to 1, not {getattr(self, name)}"
                )
        if not self.mutations or min(self.mutations) < 1:
            raise InputError(f"`mutations` are whole numbers from 1, not {list(self.mutations)}")
        if self.rungs > 1 and (self.method not in ("gga", "random") or self.pareto):
            raise InputError(
                "`rungs` above 1 need prompts that are scored together, by one objective: the "
                f"methods gga and random, without pareto; not {self.method}"
                f"{' with pareto' if self.pareto else ''}"
            )
        low, high = self.start_pruned
        if not 0 <= low <= high < 1:
            raise InputError(f"`start_pruned` are two rates, ascending, below 1, not {low}, {high}")
        if self.minutes is not None and not self.minutes > 0:
            raise InputError(f"`minutes` must be above 0, not {self.minutes}")


@dataclass(frozen=True)
class EvolveConfig:
    """The configuration of an evolution: a task, a run folder, a search, and who is asked.

    Attributes:
        task: the task file.
        output: the run folder; an evolution with the same configuration resumes from it.
        search: how prompts are searched for.
        model: the language model: on this machine, in vLLM, or behind a server.
        budget: ends the search after the generation in which it is spent; calibration and test come
            on top. What earlier processes spent counts where a server answers.
        ray: the cluster whose workers answer in place of this process.

    Raises:
        InputError: a value is out of its bounds.
    """

    task: Path
    output: Path
    search: SearchConfig = SearchConfig()
    model: ModelConfig = _MODEL
    budget: BudgetConfig = _BUDGET
    ray: RayConfig = _RAY

    def __post_init__(self) -> None:
        check_values(self)
