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


def record(individual: Individual) -> dict[str, object]:
    """Gives an individual as JSON holds it; ``rungs`` are left out where they are the score."""
    rungs = list(individual.rungs)
    return {
        "number": individual.number,
        "generation": individual.generation,
        "parents": list(individual.parents),
        "genome": genome_digits(individual.genome),
        "text": individual.text,
        "length": individual.length,
        "tokens": individual.tokens,
        "score": individual.score,
        "new": individual.new,
        **({} if rungs == [individual.score] else {"rungs": rungs}),
    }


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
        individuals.append(
            Individual(
                number=fields["number"],
                generation=fields["generation"],
                parents=tuple(fields["parents"]),
                genome=tuple(digit == "1" for digit in fields["genome"]),
                text=fields["text"],
                length=fields["length"],
                tokens=fields["tokens"],
                score=fields["score"],
                new=fields["new"],
                rungs=tuple(fields.get("rungs", ())),
                pareto=pareto,
            )
        )
    return individuals


def _checksum(fields: Mapping[str, object]) -> str:
    return f"{crc32(json.dumps(fields).encode()):08x}"


def distinct_prompts(history: Iterable[Individual]) -> list[Individual]:
    """Gives the first feasible individual of each prompt: best first, then shorter, then older."""
    feasible = [one for one in history if one.score is not None]
    first = {one.text: one for one in reversed(feasible)}
    return sorted(first.values(), key=lambda one: (-(one.score or 0.0), one.length, one.number))


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
