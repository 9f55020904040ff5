"""The configuration of a search and of an evolution; the defaults are the papers' constants."""

from dataclasses import dataclass, field
from pathlib import Path

from rankprompt.errors import InputError, UnknownNameError
from rankprompt.llm.embedded import EMBEDDED

__all__ = ["METHODS", "EvolveConfig", "SearchConfig"]

METHODS = ("gga", "ssga", "tapruning", "random", "unpruned")
"""The search methods that ``rankprompt.search.registry`` implements."""


@dataclass(frozen=True)
class SearchConfig:
    """How prompts are searched for; the defaults are those of arXiv 2506.17930, section 4.

    Attributes:
        method: "gga" breeds a generation from one fixed population, "ssga" lets each child be a
            parent of the next; "tapruning" is hill climbing; "random" and "unpruned" are baselines.
        seed: seeds the demonstrations, the search split and all random draws of the search.
        population: the number of individuals that survive a generation.
        offspring: the number of children in a generation.
        tournament: the share of the parent pool in a tournament, rounded down, at least one.
        mutations: the numbers of tokens that a child may lose, each equally likely.
        start: "seed" starts with copies of the seed, "pruned" with copies pruned at random.
        start_pruned: the lowest and highest pruning rate of "pruned"; each copy draws its own.
        rungs: the rungs of successive halving (arXiv 1502.07943; not in the paper). 1 scores every
            prompt on the whole search split. 3 scores the prompts of a generation on a quarter of
            it, the better half on a half, and the better half of those on the whole.
        pareto: makes the prompt's length a second objective, minimised (NSGA-II).
        evaluations: the most distinct prompts that are scored; a repeated prompt costs nothing.
        min_length: the evolution ends when the population's mean length in kept genes is at most
            this.
        restart: starts again from the seed at that length, until another criterion ends the search
            (not in the paper, whose search leaves most of the budget unspent on a short seed).
        stagnation: ends the search after this many generations without a better best; None never.
        exhaustion: ends the search after this many generations without an unseen prompt.
        minutes: ends the search after this much time, summed over resumes; None never.
        acceptance: TAPruning accepts a removal that keeps at least this share of the best score.
        calibrated: the share of the history, best first, that calibration scores again.
        gain_right: the factor of the piecewise reward for a correct answer.
        gain_wrong: the factor of the piecewise reward for a wrong answer.

    Raises:
        InputError: a value cannot work; the message names the field and what it allows.
    """

    method: str = "gga"
    seed: int = 0
    population: int = 30
    offspring: int = 50
    tournament: float = 0.20
    mutations: tuple[int, ...] = (1, 2, 3, 4)
    start: str = "seed"
    start_pruned: tuple[float, float] = (0.05, 0.20)
    rungs: int = 1
    pareto: bool = False
    evaluations: int = 10_000
    min_length: int = 15
    restart: bool = False
    stagnation: int | None = None
    exhaustion: int = 10
    minutes: float | None = None
    acceptance: float = 0.96
    calibrated: float = 0.10
    gain_right: float = 200.0
    gain_wrong: float = 180.0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise UnknownNameError("search method", self.method, METHODS)
        if self.start not in ("seed", "pruned"):
            raise UnknownNameError("start", self.start, ("seed", "pruned"))
        for name, least in {
            "population": 1, "offspring": 1, "evaluations": 1, "exhaustion": 1, "stagnation": 1,
            "rungs": 1, "min_length": 0,
        }.items():  # fmt: skip
            value = getattr(self, name)
            if value is not None and value < least:
                raise InputError(f"`{name}` must be at least {least}, not {value}")
        for name, most in {"population": 100_000, "offspring": 100_000, "rungs": 30}.items():
            if getattr(self, name) > most:
                raise InputError(f"`{name}` must be at most {most}, not {getattr(self, name)}")
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
    """The configuration of an evolution: a task, a run folder, a search and a model.

    Attributes:
        task: the task file.
        output: the run folder; an evolution with the same configuration resumes from it.
        search: how prompts are searched for.
        model: the model's name, as for ``load_model``.
        dtype: as for ``load_model``.
        device: as for ``load_model``.
        batch_tokens: as for ``load_model``.
        threads: as for ``load_model``.
        max_prompts: ends the search, at the end of a generation, after this many prompts that this
            process sent to the model; calibration and test come on top. None never.

    Raises:
        InputError: a number is out of range.
    """

    task: Path
    output: Path
    search: SearchConfig = field(default_factory=SearchConfig)
    model: str = EMBEDDED
    dtype: str = "auto"
    device: str = "auto"
    batch_tokens: int | None = None
    threads: int | None = None
    max_prompts: int | None = None

    def __post_init__(self) -> None:
        for name in ("batch_tokens", "threads", "max_prompts"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"`{name}` must be at least 1, not {value}")
        if self.threads is not None and self.threads > 1024:
            raise InputError(f"`threads` must be at most 1024, not {self.threads}")
