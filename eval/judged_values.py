"""Joins a table of scores with judgements: what a calibration is fitted on."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from rankprompt.errors import InputError
from rankprompt.eval.scoring import EXCLUDED
from rankprompt.files.json_schema import parse_json, read_text
from rankprompt.files.manifest import beside
from rankprompt.files.scores_file import ScoredDocument
from rankprompt.types import Qrels

__all__ = ["JudgedValue", "judged_values", "model_of"]


class JudgedValue(NamedTuple):
    """A document's scores and whether people judged it relevant.

    Attributes:
        query: the query's id.
        score: the relevance score of the run, from 0 to 1.
        value: the model's own number.
        relevant: whether its grade reaches the level.
    """

    query: str
    score: float
    value: float
    relevant: bool


def judged_values(
    scores: Mapping[str, Mapping[str, ScoredDocument]],
    qrels: Qrels,
    level: int = 1,
    *,
    unjudged_as_irrelevant: bool = False,
) -> list[JudgedValue]:
    """Joins scores with judgements; documents without a value and queries without grades go out.

    A grade below 0 means "not looked at", as for ``bpref``. Documents graded ``EXCLUDED`` go out.

    Args:
        scores: by query and document, as ``read_scores`` reads them.
        qrels: grades by query and document.
        level: the lowest grade that counts as relevant, 1 or more.
        unjudged_as_irrelevant: whether documents without a grade count as not relevant; else they
            go out.

    Returns:
        The judged documents in the order of the scores.

    Raises:
        InputError: the level is below 1.
    """
    if level < 1:
        raise InputError(f"give a `level` of 1 or more, not {level}")
    judged = []
    for query, documents in scores.items():
        grades = qrels.get(query, {})
        for document, scored in documents.items() if grades else ():
            grade = grades.get(document, -1)
            if scored.value is None or grade == EXCLUDED:
                continue
            if grade >= 0 or unjudged_as_irrelevant:
                judged.append(JudgedValue(query, scored.score, scored.value, grade >= level))
    return judged


def model_of(scores: Path) -> str | None:
    """Names the model whose numbers a table of scores holds, where that is known.

    It is known by the manifest of a run that was written with the table and differs from it in
    the ending alone, such as better.json of better.tsv.
    """
    try:
        manifest = parse_json(read_text(beside(scores, ".json")))
    except (InputError, ValueError):
        return None
    written = _entry(manifest, "config", "output", "scores")
    name = _entry(manifest, "model", "name")
    known = isinstance(written, str) and Path(written).name == scores.name
    return name if known and isinstance(name, str) else None


def _entry(value: object, *keys: str) -> object:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
