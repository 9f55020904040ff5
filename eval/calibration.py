"""Calibration: a monotone map from a model's own number to the probability of relevance.

It is fitted on documents that people have judged, by isotonic regression, which assumes no shape
and overfits on few documents, or by Platt scaling, which assumes a logistic function (compared in
Niculescu-Mizil and Caruana, "Predicting Good Probabilities With Supervised Learning", ICML 2005).
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple, TypeAlias

from rankprompt.errors import FormatError, InputError, UnknownNameError
from rankprompt.eval.isotonic import LARGEST_VALUE, IsotonicMap, fit_isotonic
from rankprompt.eval.platt import PlattMap, fit_platt
from rankprompt.eval.scoring import EXCLUDED
from rankprompt.files import write_atomically
from rankprompt.files.json_schema import parse_as, parse_json, read_text
from rankprompt.files.manifest import beside
from rankprompt.files.scores_file import ScoredDocument
from rankprompt.types import Qrels

__all__ = [
    "LEAST_DOCUMENTS",
    "METHODS",
    "Calibration",
    "JudgedValue",
    "cross_validate",
    "fit_calibration",
    "judged_values",
    "model_of",
    "read_calibration",
]

_Fit: TypeAlias = Callable[[Sequence[float], Sequence[float]], IsotonicMap | PlattMap]

_FITTERS: Mapping[str, _Fit] = {"isotonic": fit_isotonic, "platt": fit_platt}
METHODS = tuple(_FITTERS)
"""The methods of calibration."""

LEAST_DOCUMENTS = 20
"""The least number of judged documents on which a calibration is fitted."""

_FORM = "rankprompt calibration 1"

Scores: TypeAlias = Mapping[str, Mapping[str, ScoredDocument]]


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


@dataclass(frozen=True)
class Calibration:
    """A fitted map from a model's own number to the probability of relevance.

    Attributes:
        model: the name of the model whose numbers they are; None where it is not known.
        level: the lowest grade that counts as relevant.
        queries: on whose documents it was fitted.
        documents: on which it was fitted.
        relevant: how many of these are relevant.
        map: the fitted function.
    """

    model: str | None
    level: int
    queries: int
    documents: int
    relevant: int
    map: IsotonicMap | PlattMap

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 - pydantic reads it from the class

    @property
    def method(self) -> str:
        """The method, one of ``METHODS``."""
        return self.map.method

    @property
    def constant(self) -> bool:
        """Whether all values have the same probability, so that they say nothing of relevance."""
        return self.map(-math.inf) == self.map(math.inf)

    def __call__(self, values: Iterable[float]) -> list[float]:
        """The probabilities of relevance of documents by the model's own numbers.

        Args:
            values: any numbers but NaN, higher is more relevant.

        Returns:
            Probabilities from 0 to 1 in the order of the values; a higher value never has a lower
            probability.

        Raises:
            ValueError: a value is NaN.
        """
        probabilities = []
        for value in values:
            if math.isnan(value):
                raise ValueError("a value is NaN, which has no probability")
            probabilities.append(self.map(value))
        return probabilities

    def write(self, path: Path) -> None:
        """Writes it as JSON, whole or not at all.

        Raises:
            InputError: the file cannot be written.
        """
        write_atomically(path, json.dumps({"form": _FORM, **asdict(self)}, indent=1) + "\n")


def read_calibration(path: Path) -> Calibration:
    """Reads a calibration that ``Calibration.write`` wrote.

    Raises:
        InputError: the file cannot be read.
        FormatError: it is no calibration of this form, or a damaged one.
    """
    text = read_text(path)
    try:
        content = parse_json(text)
        form = content.pop("form", None) if isinstance(content, dict) else None
        if form != _FORM:
            raise ValueError(f"no calibration of the form {_FORM!r}; make one with `calibrate`")
        return parse_as(Calibration, json.dumps(content))
    except ValueError as error:
        raise FormatError(path, None, str(error)) from error


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


def judged_values(
    scores: Scores, qrels: Qrels, level: int = 1, *, unjudged_as_irrelevant: bool = False
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


def fit_calibration(
    judged: Sequence[JudgedValue],
    *,
    method: str = "isotonic",
    level: int = 1,
    model: str | None = None,
) -> Calibration:
    """Fits a calibration on judged documents.

    Args:
        judged: the documents, as ``judged_values`` gives them.
        method: one of ``METHODS``.
        level: the lowest grade that counts as relevant, for the record.
        model: the name of the model that gave the values, for the record.

    Raises:
        UnknownNameError: there is no such method.
        InputError: there are fewer than ``LEAST_DOCUMENTS`` documents, or all are relevant, or none
            is, or a value is beyond 1e100.
    """
    if len(judged) < LEAST_DOCUMENTS:
        raise InputError(
            f"{len(judged)} documents have both a value and a grade; a calibration needs at least "
            f"{LEAST_DOCUMENTS}"
        )
    return Calibration(
        model=model,
        level=level,
        queries=len({document.query for document in judged}),
        documents=len(judged),
        relevant=sum(document.relevant for document in judged),
        map=_fit(judged, method),
    )


def cross_validate(
    judged: Sequence[JudgedValue], *, method: str = "isotonic", folds: int = 5
) -> list[float]:
    """Gives each document a probability by a map that was fitted without its query.

    The queries are dealt into folds in the order of a hash of their ids, so the folds depend on
    nothing else.

    Args:
        judged: the documents.
        method: one of ``METHODS``.
        folds: into how many parts of about equal numbers of queries they are split; as many as
            there are queries if these are fewer.

    Returns:
        Probabilities in the order of the documents.

    Raises:
        UnknownNameError: there is no such method.
        InputError: there is a single query, or the documents outside a fold are all relevant, or
            none of them is, or a value is beyond 1e100.
    """
    queries = sorted({document.query for document in judged}, key=_digest)
    if len(queries) < 2:
        raise InputError("cross-validation needs two judged queries or more")
    fold_of = {query: place % min(folds, len(queries)) for place, query in enumerate(queries)}
    maps = [
        _fit([document for document in judged if fold_of[document.query] != fold], method)
        for fold in range(min(folds, len(queries)))
    ]
    return [maps[fold_of[document.query]](document.value) for document in judged]


def _digest(query: str) -> bytes:
    return blake2b(query.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _fit(judged: Sequence[JudgedValue], method: str) -> IsotonicMap | PlattMap:
    if method not in _FITTERS:
        raise UnknownNameError("method of calibration", method, METHODS)
    relevant = sum(document.relevant for document in judged)
    if relevant == 0:
        raise InputError(
            f"none of {len(judged)} judged documents is relevant; a calibration needs both"
        )
    if relevant == len(judged):
        raise InputError(
            f"all of {len(judged)} judged documents are relevant; a calibration needs both, see "
            "`unjudged_as_irrelevant`"
        )
    values = [document.value for document in judged]
    if not all(abs(value) <= LARGEST_VALUE for value in values):
        raise InputError(f"a value is beyond {LARGEST_VALUE:g}; no calibration is fitted on it")
    labels = [float(document.relevant) for document in judged]
    return _FITTERS[method](values, labels)
