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


# What the values of a table have in common where a map can be fitted on them.
_KIND = ("model", "fingerprint", "method", "prompt", "meaning")


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


def model_of(scores: Path) -> tuple[str | None, str | None]:
    """The name and the fingerprint of the model whose numbers a table of scores holds.

    They are known by the manifest of a run that was written with the table and differs from it in
    the ending alone, such as better.json of better.tsv; both are None where they are not known.

    Raises:
        InputError: the table holds numbers of several models, prompts or methods.
    """
    try:
        manifest = parse_json(read_text(beside(scores, ".json")))
    except (InputError, ValueError):
        return None, None
    written = _entry(manifest, "config", "output", "scores")
    if not isinstance(written, str) or Path(written).name != scores.name:
        return None, None
    entries = _entry(manifest, "scores", "values")
    values = entries if isinstance(entries, list) else [
        {"model": _entry(manifest, "model", "name"),
         "fingerprint": _entry(manifest, "model", "fingerprint")}
    ]  # fmt: skip
    kinds = [[_entry(value, key) for key in _KIND] for value in values]
    if any(kind != kinds[0] for kind in kinds):
        names = " and ".join(dict.fromkeys(str(name or "an oracle") for name, *_ in kinds))
        raise InputError(
            f"{scores}: the values are numbers of several stages, by {names}, which no one map "
            "fits; calibrate a run of one stage"
        )
    name, fingerprint = (kinds[0] if kinds else (None, None))[:2]
    return (
        name if isinstance(name, str) else None,
        fingerprint if isinstance(fingerprint, str) else None,
    )


def _entry(value: object, *keys: str) -> object:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
