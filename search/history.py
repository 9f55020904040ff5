"""The history of a search: its JSON lines, its best prompts, its Pareto front."""

import json
from collections.abc import Iterable, Mapping
from zlib import crc32

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
        ValueError: a line is not JSON, or does not match its checksum.
        KeyError: a line lacks a key.
        TypeError: a value has the wrong type.
    """
    individuals = []
    for line in content.decode().splitlines():
        fields = json.loads(line)
        if fields.pop("check") != _checksum(fields):
            raise ValueError("a line does not match its checksum")
        fields["parents"] = tuple(fields["parents"])
        fields["genome"] = tuple(digit == "1" for digit in fields["genome"])
        rungs = tuple(fields.get("rungs", ()))
        individuals.append(Individual(*[*(fields[key] for key in _KEYS), rungs, pareto]))
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
