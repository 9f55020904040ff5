"""Calibration: what it is fitted on, its file, and its error on other queries."""

import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rankprompt.errors import FormatError, InputError, UnknownNameError
from rankprompt.eval.calibration import (
    LEAST_DOCUMENTS,
    METHODS,
    Calibration,
    cross_validate,
    fit_calibration,
    read_calibration,
)
from rankprompt.eval.judged_values import JudgedValue
from rankprompt.eval.reliability import reliability


def drawn(number: int, *, queries: int = 20, seed: int = 0) -> list[JudgedValue]:
    """Documents whose log-odds of relevance are their value less 1."""
    source = random.Random(seed)
    documents = []
    for place in range(number):
        value = source.gauss(0, 2)
        relevant = source.random() < 1 / (1 + math.exp(1 - value))
        documents.append(JudgedValue(f"q{place % queries}", 0.5, value, relevant))
    return documents


@pytest.mark.parametrize("method", METHODS)
def test_the_file_holds_the_whole_calibration(method: str, tmp_path: Path) -> None:
    documents = drawn(300)
    fitted = fit_calibration(
        documents, method=method, level=2, unjudged_as_irrelevant=True, model="m"
    )
    assert fitted.unjudged_as_irrelevant
    assert (fitted.method, fitted.model, fitted.level) == (method, "m", 2)
    assert (fitted.queries, fitted.documents) == (20, 300)
    assert fitted.relevant == sum(one.relevant for one in documents)
    assert not fitted.constant
    path = tmp_path / "calibration.json"
    fitted.write(path)
    assert read_calibration(path) == fitted
    found = fitted([-math.inf, -1.0, 0.0, 1.0, math.inf])
    assert found == sorted(found)
    assert 0 <= found[0] < found[-1] <= 1
    with pytest.raises(ValueError, match="NaN"):
        fitted([math.nan])


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda _: [1], "it has not the form"),
        (lambda content: content | {"form": "rankprompt calibration 2"}, "it has not the form"),
        (lambda content: {**content, "map": {"method": "spline"}}, "no `method` of isotonic, pl"),
        (
            lambda content: {**content, "map": {"method": "platt", "slope": "1", "intercept": 0}},
            "`map`: slope: ",
        ),
        (lambda content: {**content, "level": "1"}, "level: "),
        (lambda content: {**content, "more": 1}, "more: "),
        (lambda content: {key: content[key] for key in ("form", "map")}, "model: "),
        (lambda content: content["map"].update(values=[2, 1]) or content, "strictly increasing"),
        (lambda content: content["map"].update(probabilities=[0, 2]) or content, "from 0 to 1"),
        (lambda content: content["map"].update(values=[0]) or content, "of one length"),
        (lambda content: content["map"].update(values=[]) or content, "knots, not 0"),
        (lambda content: content["map"].update(values=[0, True]) or content, "map"),
    ],
)
def test_a_damaged_or_foreign_file_is_told(
    change: Callable[[dict[str, Any]], object], problem: str, tmp_path: Path
) -> None:
    path = tmp_path / "calibration.json"
    content: dict[str, Any] = {
        "form": "rankprompt calibration 1", "model": None, "level": 1, "queries": 2,
        "documents": 30, "relevant": 9, "unjudged_as_irrelevant": False,
        "map": {"method": "isotonic", "values": [0, 1.5], "probabilities": [0, 0.5]},
    }  # fmt: skip
    path.write_text(json.dumps(content))
    assert read_calibration(path)([1.5]) == [0.5]
    path.write_text(json.dumps(change(content)))
    start = r"calibration\.json: not a calibration of `rankprompt calibrate`: "
    with pytest.raises(FormatError, match=rf"{start}.*{problem}") as caught:
        read_calibration(path)
    told = str(caught.value)
    assert not any(internal in told for internal in ("\n", "IsotonicMap", "Value error"))
    for text, damage in (("\n", "it is empty"), ('{"form":\n 1', r"it is no JSON \(line 2\)")):
        path.write_text(text)
        with pytest.raises(FormatError, match=start + damage):
            read_calibration(path)


@pytest.mark.parametrize("method", METHODS)
def test_documents_that_allow_no_fit_are_told(method: str) -> None:
    documents = drawn(LEAST_DOCUMENTS)
    with pytest.raises(InputError, match=r"19 documents have both a value and a grade; .* 20"):
        fit_calibration(documents[1:], method=method)
    with pytest.raises(InputError, match="none of 20 judged documents is relevant"):
        fit_calibration([one._replace(relevant=False) for one in documents], method=method)
    with pytest.raises(InputError, match=r"all of 20 .* are relevant.*`unjudged_as_irrelevant`"):
        fit_calibration([one._replace(relevant=True) for one in documents], method=method)
    with pytest.raises(InputError, match=r"beyond 1e\+100"):
        fit_calibration([*documents, documents[0]._replace(value=1e101)], method=method)
    with pytest.raises(UnknownNameError, match="unknown method of calibration 'plat'; did you"):
        fit_calibration(documents, method="plat")


def test_cross_validation_fits_each_query_without_its_own_documents() -> None:
    documents = drawn(400, queries=7)
    probabilities = cross_validate(documents, method="platt", folds=7)
    for query in {one.query for one in documents}:
        others = [one for one in documents if one.query != query]
        fitted = fit_calibration(others, method="platt")
        own = [(one.value, p) for one, p in zip(documents, probabilities, strict=True)
               if one.query == query]  # fmt: skip
        assert fitted([value for value, _ in own]) == [p for _, p in own]
    # The folds depend on the queries' ids alone.
    backwards = cross_validate(documents[::-1], method="platt", folds=3)
    assert cross_validate(documents, method="platt", folds=3) == pytest.approx(backwards[::-1])
    assert cross_validate(documents, method="platt", folds=99) == probabilities


def test_cross_validation_shows_what_the_fit_flatters() -> None:
    """Values that are noise: isotonic regression on few documents finds a shape in them."""
    source = random.Random(1)
    noise = [one._replace(value=source.random()) for one in drawn(60)]
    relevant = [one.relevant for one in noise]
    fitted = reliability(fit_calibration(noise)([one.value for one in noise]), relevant)
    honest = reliability(cross_validate(noise), relevant)
    assert fitted.expected_calibration_error < 1e-12
    assert honest.expected_calibration_error > 0.05
    assert fitted.brier < honest.brier


def test_cross_validation_that_is_not_possible_is_told() -> None:
    with pytest.raises(InputError, match="two judged queries or more"):
        cross_validate(drawn(30, queries=1))
    documents = [one._replace(relevant=one.query == "q0") for one in drawn(30, queries=2)]
    with pytest.raises(InputError, match="is relevant"):
        cross_validate(documents)


def test_a_calibration_of_values_that_fall_says_so() -> None:
    documents = [one._replace(value=float(not one.relevant)) for one in drawn(500)]
    for method in METHODS:
        fitted: Calibration = fit_calibration(documents, method=method)
        assert fitted.constant
        share = fitted.relevant / fitted.documents
        assert fitted([0.0, 0.5, 1.0]) == pytest.approx([share] * 3, abs=0.01)
