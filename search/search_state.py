"""The state of a search, and when it ends."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from deap import tools

from rankprompt.search.archive import Archive
from rankprompt.search.config import SearchSettings
from rankprompt.search.genome import Genome, SeedPrompt
from rankprompt.search.individual import Individual

__all__ = ["Child", "Generation", "Limits", "Search", "reason_to_stop"]


class Child(NamedTuple):
    """A genome to be scored, and whose child it is."""

    genome: Genome
    parents: tuple[int, ...] = ()


class Generation(NamedTuple):
    """A finished generation: who was born, who lives on, and the line of the logbook about it."""

    number: int
    born: list[Individual]
    survivors: list[Individual]
    row: dict[str, Any]


@dataclass(frozen=True)
class Limits:
    """What ends a search from outside, looked at between generations.

    Attributes:
        stop_file: ends the search while it exists.
        spent: whether a budget that the search knows nothing of (prompts, tokens, money) is spent.
    """

    stop_file: Path | None = None
    spent: Callable[[], bool] = lambda: False


@dataclass
class Search:
    """A search under way; between two generations it is whole, and can be recorded.

    Attributes:
        seed: what is pruned.
        settings: how.
        archive: all scores by text; holds the fitness.
        rng: every random draw is its.
        generation: the next one's number.
        population: who lives.
        history: everybody who was ever born, in order.
        logbook: a row a generation (DEAP's Logbook).
        best: the highest score of all; of equals the shorter, then the elder. None as long as
            everybody is infeasible.
        improved: the generation in which the best was born.
        renewed: the last generation that had a text not seen before.
        seconds: of work so far.
        stop: why the search ended, once it has.
    """

    seed: SeedPrompt
    settings: SearchSettings
    archive: Archive
    rng: random.Random
    generation: int = 0
    population: list[Individual] = field(default_factory=list)
    history: list[Individual] = field(default_factory=list)
    logbook: Any = field(default_factory=tools.Logbook)
    best: Individual | None = None
    improved: int = 0
    renewed: int = 0
    seconds: float = 0.0
    stop: str | None = None
    _since: float = field(default_factory=time.monotonic, repr=False)

    @classmethod
    def begin(cls, seed: SeedPrompt, settings: SearchSettings, archive: Archive) -> "Search":
        """A search before its first generation."""
        return cls(seed, settings, archive, random.Random(settings.seed))

    @property
    def short(self) -> bool:
        """Whether the population's mean length, in live genes, is no more than the minimal one."""
        return fmean(one.length for one in self.population) <= self.settings.min_length

    def evaluate(self, children: Sequence[Child]) -> list[Individual]:
        """Scores genomes in one batch and enters them into the history, in order.

        Returns:
            The individuals; fewer than children where the budget of evaluations ends between them.
        """
        texts = self._affordable([self.seed.render(child.genome) for child in children])
        new = set(self.archive.new(texts))
        raced = self.archive(texts)
        born = []
        for child, text, rungs in zip(children, texts, raced, strict=False):
            one = Individual(
                number=len(self.history),
                generation=self.generation,
                parents=child.parents,
                genome=child.genome,
                text=text,
                length=sum(child.genome),
                tokens=self.seed.tokens(child.genome),
                score=rungs[-1] if len(rungs) == len(self.archive.rungs) else None,
                new=text in new,
                rungs=rungs,
                pareto=self.settings.pareto,
            )
            new.discard(text)
            self.history.append(one)
            born.append(one)
            if one.better_than(self.best):
                self.best, self.improved = one, self.generation
        return born

    def _affordable(self, texts: list[str]) -> list[str]:
        left = self.settings.evaluations - self.archive.evaluations
        beyond = self.archive.new(texts)[left:]
        return texts[: texts.index(beyond[0])] if beyond else texts

    def finish(self, born: list[Individual], survivors: list[Individual]) -> Generation:
        """Ends a generation: the survivors are the population, and the logbook has a row more."""
        if any(one.new for one in born):
            self.renewed = self.generation
        now = time.monotonic()
        self.seconds, self._since = self.seconds + now - self._since, now
        row = {
            "generation": self.generation,
            "born": len(born),
            "new": sum(one.new for one in born),
            "evaluations": self.archive.evaluations,
            "infeasible": self.archive.infeasible,
            "best": None if self.best is None else self.best.score,
            "best_length": None if self.best is None else self.best.length,
            **_statistics(survivors),
            "seconds": round(self.seconds, 3),
        }
        self.logbook.record(**row)
        self.population = survivors
        finished = Generation(self.generation, born, survivors, row)
        self.generation += 1
        return finished


def _statistics(survivors: Sequence[Individual]) -> dict[str, Any]:
    feasible = [one for one in survivors if one.score is not None]
    row: dict[str, Any] = {}
    for name, among in (("score", feasible), ("length", survivors)):
        statistics = tools.Statistics(lambda one, name=name: getattr(one, name))
        for field_name, function in (("mean", fmean), ("min", min), ("max", max)):
            statistics.register(f"{name}_{field_name}", function)
        row |= statistics.compile(among) if among else dict.fromkeys(statistics.fields)
    return row


def reason_to_stop(search: Search, limits: Limits) -> str | None:
    """Why no further generation should begin, or None.

    Where there has been no generation, only what comes from outside counts.
    """
    settings = search.settings
    evolves = settings.method in ("gga", "ssga")
    if search.generation:
        if search.archive.evaluations >= settings.evaluations:
            return f"the budget of {settings.evaluations:,} evaluations is spent"
        if evolves and search.short and not settings.restart:
            return f"the mean length is no more than {settings.min_length}"
        if search.generation - 1 - search.renewed >= settings.exhaustion:
            return f"no new prompt in {settings.exhaustion} generations"
        stale = search.generation - 1 - search.improved
        if settings.stagnation is not None and stale >= settings.stagnation:
            return f"no better prompt in {stale} generations"
    if settings.minutes is not None and search.seconds >= 60 * settings.minutes:
        return f"{settings.minutes:g} minutes are over"
    if limits.stop_file is not None and limits.stop_file.exists():
        return f"the stop file {limits.stop_file} exists"
    if limits.spent():
        return "the budget of the model is spent"
    return None
