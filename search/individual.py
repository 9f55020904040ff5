"""Individuals: a genome with its score, as DEAP's operators and the history take it."""

import math
from dataclasses import dataclass, field
from typing import Any

from deap import base

from rankprompt.search.genome import Genome

__all__ = ["Individual", "Score", "ScoreAndLength"]


class Score(base.Fitness):  # type: ignore[misc] # DEAP has no types
    """Further in the race of a generation is better, and as far, with a higher score.

    Whoever got further was no worse where both were scored (``Archive``).
    """

    weights = (1.0, 1.0)


class ScoreAndLength(base.Fitness):  # type: ignore[misc] # DEAP has no types
    """A higher score is better, and so is a shorter prompt."""

    weights = (1.0, -1.0)


@dataclass(eq=False)
class Individual:
    """A line of the history.

    Attributes:
        number: its place in the history, from 0.
        generation: in which it was born.
        parents: their numbers.
        genome: what it keeps of the seed.
        text: the prompt, as in a prompt file.
        length: live genes.
        tokens: the prompt's tokens when tokenised anew.
        score: on all examples of the search; None where the prompt is infeasible, or fell out
            before.
        new: whether the text was scored for it, and not known before.
        rungs: its scores in the race of its generation (``Archive``); of one rung, ``score``.
        pareto: whether the length is an objective, too.
        fitness: what DEAP compares; infeasible is worst.
        crowded: better where the front is nearer and its neighbours further (NSGA-II).
    """

    number: int
    generation: int
    parents: tuple[int, ...]
    genome: Genome
    text: str
    length: int
    tokens: int
    score: float | None
    new: bool
    rungs: tuple[float | None, ...] = ()
    pareto: bool = False
    fitness: Any = field(init=False, repr=False)
    crowded: tuple[int, float] = field(default=(0, 0.0), init=False, repr=False)

    def __post_init__(self) -> None:
        self.rungs = self.rungs or (self.score,)
        last = self.rungs[-1]
        # Infeasible in every objective, so that whatever is feasible dominates it.
        if self.pareto:
            values = (-math.inf, math.inf) if last is None else (last, self.length)
            self.fitness = ScoreAndLength(values)
        else:
            self.fitness = Score((0, -math.inf) if last is None else (len(self.rungs), last))

    def better_than(self, other: "Individual | None") -> bool:
        """Whether it scores higher, or the same and is shorter; an infeasible one never does."""
        if self.score is None or other is None or other.score is None:
            return self.score is not None
        return (self.score, -self.length) > (other.score, -other.length)

    def record(self) -> dict[str, Any]:
        """The line as JSON takes it."""
        further = {"rungs": list(self.rungs)} if self.rungs != (self.score,) else {}
        return {
            "number": self.number,
            "generation": self.generation,
            "parents": list(self.parents),
            "genome": "".join("01"[kept] for kept in self.genome),
            "text": self.text,
            "length": self.length,
            "tokens": self.tokens,
            "score": self.score,
            "new": self.new,
            **further,
        }

    @classmethod
    def from_record(cls, line: dict[str, Any], *, pareto: bool) -> "Individual":
        """Reads what ``record`` gave.

        Raises:
            TypeError: a key is missing, or there is one too many.
        """
        made = {
            **line,
            "parents": tuple(line["parents"]),
            "genome": tuple(kept == "1" for kept in line["genome"]),
            "rungs": tuple(line.get("rungs", ())),
        }
        return cls(**made, pareto=pareto)
