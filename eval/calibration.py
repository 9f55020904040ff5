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
from typing import TypeAlias

from rankprompt.errors import FormatError, InputError, UnknownNameError
from rankprompt.eval.isotonic import LARGEST_VALUE, IsotonicMap, fit_isotonic
from rankprompt.eval.judged_values import JudgedValue
from rankprompt.eval.platt import PlattMap, fit_platt
from rankprompt.files import write_atomically
from rankprompt.files.json_schema import parse_as, parse_json, read_text

__all__ = [
    "LEAST_DOCUMENTS",
    "METHODS",
    "Calibration",
    "cross_validate",
    "fit_calibration",
    "read_calibration",
]

_Fit: TypeAlias = Callable[[Sequence[float], Sequence[float]], IsotonicMap | PlattMap]

_FITTERS: Mapping[str, _Fit] = {"isotonic": fit_isotonic, "platt": fit_platt}
METHODS = tuple(_FITTERS)
"""The methods of calibration."""

LEAST_DOCUMENTS = 20
"""The least number of judged documents on which a calibration is fitted."""

_FORM = "rankprompt calibration 1"


@dataclass(frozen=True)
class Calibration:
    """A fitted map from a model's own number to the probability of relevance.

    Attributes:
        model: the name of the model whose numbers they are; None where it is not known.
        level: the lowest grade that counts as relevant.
        queries: on whose documents it was fitted.
        documents: on which it was fitted.
        relevant: how many of these are relevant.
        unjudged_as_irrelevant: whether documents without a grade were among them, as not relevant.
        map: the fitted function.
        fingerprint: of the model; None where it is not known.
    """

    model: str | None
    level: int
    queries: int
    documents: int
    relevant: int
    unjudged_as_irrelevant: bool
    map: IsotonicMap | PlattMap
    fingerprint: str | None = None

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
        if not isinstance(content, dict) or content.pop("form", None) != _FORM:
            raise ValueError(f"it has not the form {_FORM!r}")
        # By itself, for of a union the problems of one method's map would be told as another's.
        _check_map(content.get("map"))
        return parse_as(Calibration, json.dumps(content))
    except json.JSONDecodeError as error:
        problem = f"it is no JSON (line {error.lineno})" if text.strip() else "it is empty"
        raise _damaged(path, problem) from error
    except ValueError as error:
        raise _damaged(path, str(error)) from error


def _check_map(content: object) -> None:
    method = content.get("method") if isinstance(content, dict) else None
    schema: type[IsotonicMap | PlattMap]
    match method:
        case "isotonic":
            schema = IsotonicMap
        case "platt":
            schema = PlattMap
        case _:
            raise ValueError(f"`map` has no `method` of {', '.join(METHODS)}")
    try:
        parse_as(schema, json.dumps(content))
    except ValueError as error:
        raise ValueError(f"`map`: {error}") from error


def _damaged(path: Path, problem: str) -> FormatError:
    return FormatError(path, None, f"not a calibration of `rankprompt calibrate`: {problem}")


def fit_calibration(
    judged: Sequence[JudgedValue],
    *,
    method: str = "isotonic",
    level: int = 1,
    unjudged_as_irrelevant: bool = False,
    model: str | None = None,
    fingerprint: str | None = None,
) -> Calibration:
    """Fits a calibration on judged documents.

    Args:
        judged: the documents, as ``judged_values`` gives them.
        method: one of ``METHODS``.
        level: the lowest grade that counts as relevant, for the record.
        unjudged_as_irrelevant: as given to ``judged_values``, for the record.
        model: the name of the model that gave the values, for the record.
        fingerprint: the model's, for the record.

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
        unjudged_as_irrelevant=unjudged_as_irrelevant,
        map=_fit(judged, method),
        fingerprint=fingerprint,
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
