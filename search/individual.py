"""Individuals: genomes with their scores, in the form that DEAP's operators compare."""

import math
from dataclasses import dataclass, field

from deap import base

from rankprompt.search.genome import Genome

__all__ = ["Individual", "genome_digits"]


class RungAndScore(base.Fitness):  # type: ignore[misc] # DEAP has no types
    """The rung of successive halving that was reached, then the score there; higher is better.

    An individual that reached a higher rung scored no lower on the rungs that both reached
    (``Archive``), so the comparison is of scores on the same examples.
    """

    weights = (1.0, 1.0)


class ScoreAndLength(base.Fitness):  # type: ignore[misc] # DEAP has no types
    """Two objectives: the score, to be maximised, and the prompt's length, to be minimised."""

    weights = (1.0, -1.0)


@dataclass(eq=False)
class Individual:
    """A genome that was evaluated, with its ancestry and its scores.

    Attributes:
        number: its index in the history, from 0.
        generation: the generation in which it was born.
        parents: the numbers of its parents.
        genome: which genes of the seed it keeps.
        text: the prompt, as written in a prompt file.
        length: the number of kept genes.
        tokens: the number of tokens of the prompt when it is tokenised anew.
        score: its score on all examples of the search split; None where the prompt is infeasible
            or was eliminated by successive halving.
        new: whether its prompt was evaluated for it, and not known before.
        rungs: its scores by rung of successive halving; with a single rung, ``score`` alone.
        pareto: whether the length is a second objective.
        fitness: what DEAP compares; infeasible is worst in every objective.
        crowding: the (negated) number of its Pareto front and its crowding distance (NSGA-II);
            higher is better.
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
    fitness: base.Fitness = field(init=False, repr=False)
    crowding: tuple[int, float] = field(default=(0, 0.0), init=False, repr=False)

    def __post_init__(self) -> None:
        self.rungs = self.rungs or (self.score,)
        last = self.rungs[-1]
        # DEAP finds NaN both greater and smaller than any number, so infeasible is infinitely bad.
        if self.pareto:
            self.fitness = ScoreAndLength(
                (-math.inf, math.inf) if last is None else (last, self.length)
            )
        else:
            self.fitness = RungAndScore((0, -math.inf) if last is None else (len(self.rungs), last))

    def better_than(self, other: "Individual | None") -> bool:
        """Whether it scores higher, or the same with a shorter prompt; never where infeasible."""
        if self.score is None or other is None or other.score is None:
            return self.score is not None
        return (self.score, -self.length) > (other.score, -other.length)


def genome_digits(genome: Genome) -> str:
    """Writes a genome as a string of 0 (pruned) and 1 (kept)."""
    return "".join("01"[kept] for kept in genome)
