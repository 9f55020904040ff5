"""The state of a search between two generations, and when the search ends."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from deap import tools

from rankprompt.prompts.template import Template
from rankprompt.search.archive import Archive
from rankprompt.search.config import SearchConfig
from rankprompt.search.genome import Genome, SeedPrompt
from rankprompt.search.individual import Individual

__all__ = ["Child", "ExternalStop", "Generation", "SearchState"]


class Child(NamedTuple):
    """A genome to be evaluated, and the numbers of its parents."""

    genome: Genome
    parents: tuple[int, ...] = ()


class Generation(NamedTuple):
    """A finished generation: its children, its survivors, and its row of the logbook."""

    number: int
    born: list[Individual]
    survivors: list[Individual]
    row: dict[str, Any]


@dataclass(frozen=True)
class ExternalStop:
    """Stop criteria outside the search, checked between generations.

    Attributes:
        file: ends the search while this file exists.
        budget_spent: whether a budget outside the search (prompts, tokens, money) is spent.
    """

    file: Path | None = None
    budget_spent: Callable[[], bool] = lambda: False


@dataclass
class SearchState:
    """The state of a search; between two generations it is complete and can be saved.

    Attributes:
        seed: the seed prompt.
        config: the configuration of the search.
        archive: the scores of all prompts, and the fitness.
        rng: the source of every random draw.
        generation: the number of the next generation.
        population: the individuals that survived the last generation.
        history: every individual that was born, in order.
        logbook: DEAP's logbook, a row for each generation.
        best: the individual with the highest score; of equals the shorter, then the older. None
            while every prompt is infeasible.
        improved: the generation in which the best was born.
        renewed: the last generation with an unseen prompt.
        seconds: the time spent, summed over resumes.
        stop: why the search ended, once it has.
    """

    seed: SeedPrompt
    config: SearchConfig
    archive: Archive
    rng: random.Random = field(init=False)
    generation: int = 0
    population: list[Individual] = field(default_factory=list)
    history: list[Individual] = field(default_factory=list)
    logbook: tools.Logbook = field(default_factory=tools.Logbook)
    best: Individual | None = None
    improved: int = 0
    renewed: int = 0
    seconds: float = 0.0
    stop: str | None = None
    _since: float = field(default_factory=time.monotonic, repr=False)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.config.seed)

    @property
    def is_short(self) -> bool:
        """Whether the population's mean length, in kept genes, is at most ``min_length``."""
        return fmean(member.length for member in self.population) <= self.config.min_length

    def evaluate(self, children: Sequence[Child]) -> list[Individual]:
        """Evaluates genomes in one batch and appends them to the history, in order.

        Returns:
            The individuals; fewer than children where the budget of evaluations ends among them.
        """
        prompts = self._within_budget([self.seed.template(child.genome) for child in children])
        unseen = set(self.archive.unseen(prompts))
        born = []
        for child, prompt, rungs in zip(children, prompts, self.archive(prompts), strict=False):
            individual = Individual(
                number=len(self.history),
                generation=self.generation,
                parents=child.parents,
                genome=child.genome,
                text=str(prompt),
                length=sum(child.genome),
                tokens=self.seed.count_tokens(prompt),
                score=rungs[-1] if len(rungs) == len(self.archive.rungs) else None,
                new=prompt in unseen,
                rungs=rungs,
                pareto=self.config.pareto,
            )
            unseen.discard(prompt)
            self.history.append(individual)
            born.append(individual)
            if individual.better_than(self.best):
                self.best, self.improved = individual, self.generation
        return born

    def _within_budget(self, prompts: list[Template]) -> list[Template]:
        left = self.config.evaluations - self.archive.evaluations
        beyond = self.archive.unseen(prompts)[left:]
        return prompts[: prompts.index(beyond[0])] if beyond else prompts

    def score_seed(self) -> Generation:
        """Scores the seed as a generation of its own."""
        born = self.evaluate([Child(self.seed.whole)])
        return self.finish_generation(born, born)

    def finish_generation(self, born: list[Individual], survivors: list[Individual]) -> Generation:
        """Ends a generation: the survivors become the population, and the logbook gains a row."""
        if any(child.new for child in born):
            self.renewed = self.generation
        now = time.monotonic()
        self.seconds, self._since = self.seconds + now - self._since, now
        row = {
            "generation": self.generation,
            "born": len(born),
            "new": sum(child.new for child in born),
            "evaluations": self.archive.evaluations,
            "infeasible": self.archive.infeasible,
            "best": None if self.best is None else self.best.score,
            "best_length": None if self.best is None else self.best.length,
            **_summarise(
                "score", [survivor.score for survivor in survivors if survivor.score is not None]
            ),
            **_summarise("length", [survivor.length for survivor in survivors]),
            "seconds": round(self.seconds, 3),
        }
        self.logbook.record(**row)
        self.population = survivors
        finished = Generation(self.generation, born, survivors, row)
        self.generation += 1
        return finished

    def stop_reason(self, external: ExternalStop) -> str | None:
        """Gives the reason not to start another generation, or None.

        Before the first generation, only the time and the external criteria count. The paper stops
        after 10,000 evaluations or at a mean length of 15 tokens (section 4); the other criteria
        are ours.
        """
        config = self.config
        if self.generation:
            if self.archive.evaluations >= config.evaluations:
                return f"the budget of {config.evaluations:,} evaluations is spent"
            if config.method in ("gga", "ssga") and self.is_short and not config.restart:
                return f"the mean length is no more than {config.min_length}"
            if self.generation - 1 - self.renewed >= config.exhaustion:
                return f"no new prompt in {config.exhaustion} generations"
            stale = self.generation - 1 - self.improved
            if config.stagnation is not None and stale >= config.stagnation:
                return f"no better prompt in {stale} generations"
        if config.minutes is not None and self.seconds >= 60 * config.minutes:
            return f"{config.minutes:g} minutes are over"
        if external.file is not None and external.file.exists():
            return f"the stop file {external.file} exists"
        return "the budget of the model is spent" if external.budget_spent() else None


def _summarise(name: str, values: Sequence[float]) -> dict[str, Any]:
    statistics = tools.Statistics()
    for statistic, function in (("mean", fmean), ("min", min), ("max", max)):
        statistics.register(f"{name}_{statistic}", function)
    return statistics.compile(values) if values else dict.fromkeys(statistics.fields)
