"""The settings of a search; every constant of the papers is a default here, and only here."""

from dataclasses import dataclass

from rankprompt.errors import InputError, UnknownNameError

__all__ = ["METHODS", "SearchSettings"]

METHODS = ("gga", "ssga", "tapruning", "random", "unpruned")
"""The ways to search, as ``rankprompt.search.registry.search`` runs them."""


@dataclass(frozen=True)
class SearchSettings:
    """How a prompt is searched for; the defaults are the paper's (arXiv 2506.17930, section 4).

    Attributes:
        method: "gga" breeds a generation from one fixed population, "ssga" lets each child parent
            the next; "tapruning" is hill climbing; "random" and "unpruned" are baselines.
        seed: of all random draws.
        population: the individuals that live.
        offspring: the children of a generation.
        tournament: the share of the parent pool that enters a tournament, rounded down, at least 1.
        mutations: how many live tokens a child loses; one of these, each equally likely.
        start: "seed" begins with copies of the seed, "pruned" with copies pruned at random.
        start_pruned: the least and the greatest rate of that pruning; a copy draws its own.
        rungs: 1 scores every prompt on the whole search split. With more, the prompts of a
            generation race (successive halving, arXiv 1502.07943): 3 scores all of them on a
            quarter of the split, the better half on a half, the better half of those on the whole.
        pareto: the length of the prompt is a second objective, to be made small (NSGA-II).
        evaluations: budget of distinct texts scored; a text seen before costs nothing.
        min_length: the evolution ends when the population's mean length, in live genes, is no more.
        restart: begins anew from the seed when that length is reached, until another budget ends
            it (not in the paper, where a short seed leaves most of the budget unspent).
        stagnation: ends after so many generations without a better best; None never.
        exhaustion: ends after so many generations without a text not seen before.
        minutes: ends after so much time in all, counted over resumes; None never.
        acceptance: TAPruning keeps a token's removal if the score stays this share of the best.
        calibrated: the share of the history, best first, that is scored again by calibration.
        gain_right: the piecewise reward's factor where the answer is right.
        gain_wrong: the same where it is wrong.

    Raises:
        InputError: a value that cannot work; says which and what would.
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
        for name in ("population", "offspring", "evaluations", "exhaustion", "stagnation",
            "rungs",
        ):  # fmt: skip
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} must be at least 1, not {value}")
        for name in ("tournament", "acceptance", "calibrated"):
            if not 0 < getattr(self, name) <= 1:
                raise InputError(
                    f"{name} is a share above 0 and up to 1, not {getattr(self, name)}"
                )
        if not self.mutations or min(self.mutations) < 1:
            raise InputError(f"mutations are whole numbers from 1, not {list(self.mutations)}")
        if self.rungs > 1 and (self.method not in ("gga", "random") or self.pareto):
            raise InputError(
                "rungs are for prompts that are scored together, by one objective: the methods "
                f"gga and random, without pareto; not {self.method}"
                f"{' with pareto' if self.pareto else ''}"
            )
        low, high = self.start_pruned
        if not 0 <= low <= high < 1:
            raise InputError(f"start_pruned are two rates, ascending, below 1, not {low}, {high}")
        if self.min_length < 0:
            raise InputError(f"min_length must be at least 0, not {self.min_length}")
        if self.minutes is not None and not self.minutes > 0:
            raise InputError(f"minutes must be above 0, not {self.minutes}")
