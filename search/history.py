"""The history of a search: its JSON lines, its best prompts, its Pareto front."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from zlib import crc32

from rankprompt.files.json_schema import parse_as
from rankprompt.search.individual import Individual, genome_digits

__all__ = [
    "distinct_prompts",
    "format_line",
    "pareto_front",
    "parse_history",
    "record",
    "top_share",
]


# The keys of a line, in the order of the fields of ``Individual``.
_KEYS = (
    "number", "generation", "parents", "genome", "text", "length", "tokens", "score", "new",
)  # fmt: skip


@dataclass(frozen=True)
class _Line:
    number: int
    generation: int
    parents: tuple[int, ...]
    genome: str
    text: str
    length: int
    tokens: int
    score: float | None
    new: bool
    check: str
    rungs: tuple[float | None, ...] = ()

    def __post_init__(self) -> None:
        if not set(self.genome) <= {"0", "1"}:
            raise ValueError("a genome is written in 0 and 1")


def record(individual: Individual) -> dict[str, object]:
    """Gives an individual as JSON holds it; ``rungs`` are left out where they are the score."""
    fields = {key: getattr(individual, key) for key in _KEYS}
    fields["genome"] = genome_digits(individual.genome)
    return fields | ({} if individual.rungs == (individual.score,) else {"rungs": individual.rungs})


def format_line(individual: Individual) -> str:
    """Writes an individual as a line of ``history.jsonl``, with a checksum."""
    fields = record(individual)
    # JSON's escapes keep a text with any line ends on one line.
    return json.dumps({**fields, "check": _checksum(fields)}) + "\n"


def parse_history(content: bytes, *, pareto: bool) -> list[Individual]:
    """Reads lines of ``history.jsonl``; ``pareto`` is as in ``SearchConfig``.

    Raises:
        ValueError: a line is not JSON, lacks a key, holds a value of another type, or does not
            match its checksum.
    """
    individuals = []
    for text in content.decode().splitlines():
        line = parse_as(_Line, text)
        fields = json.loads(text)
        if fields.pop("check") != _checksum(fields):
            raise ValueError("a line does not match its checksum")
        genome = tuple(digit == "1" for digit in line.genome)
        individuals.append(
            Individual(
                line.number, line.generation, line.parents, genome, line.text, line.length,
                line.tokens, line.score, line.new, line.rungs, pareto,
            )
        )  # fmt: skip
    return individuals


def _checksum(fields: Mapping[str, object]) -> str:
    return f"{crc32(json.dumps(fields).encode()):08x}"


def distinct_prompts(history: Iterable[Individual]) -> list[Individual]:
    """Gives the first feasible individual of each prompt: best first, then shorter, then older."""
    feasible = [individual for individual in history if individual.score is not None]
    first = {individual.text: individual for individual in reversed(feasible)}
    return sorted(
        first.values(),
        key=lambda individual: (-(individual.score or 0.0), individual.length, individual.number),
    )


def top_share(history: Iterable[Individual], share: float) -> list[Individual]:
    """Gives the best share of the distinct feasible prompts, best first; at least one if any."""
    prompts = distinct_prompts(history)
    return prompts[: max(1, round(share * len(prompts)))]


def pareto_front(history: Iterable[Individual]) -> list[Individual]:
    """Gives the prompts that no other beats in both score and length, best score first."""
    front: list[Individual] = []
    for individual in distinct_prompts(history):
        if not front or individual.length < front[-1].length:
            front.append(individual)
    return front
