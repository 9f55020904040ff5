"""The join of a table of scores with judgements."""

import json
from pathlib import Path

import pytest

from rankprompt.errors import InputError
from rankprompt.eval.judged_values import JudgedValue, judged_values, model_of
from rankprompt.files.scores_file import ScoredDocument


def test_documents_are_joined_with_their_grades() -> None:
    scores = {
        "q": {
            "a": ScoredDocument(1, 0.9, 3.0),
            "b": ScoredDocument(2, 0.8, 2.0),
            "no value": ScoredDocument(3, 0.7, None),
            "no grade": ScoredDocument(4, 0.6, 1.0),
            "not looked at": ScoredDocument(5, 0.5, 0.0),
            "excluded": ScoredDocument(6, 0.4, -1.0),
        },
        "no grades": {"a": ScoredDocument(1, 0.9, 3.0)},
    }
    qrels = {"q": {"a": 2, "b": 1, "no value": 1, "not looked at": -1, "excluded": -100}}
    judged = [JudgedValue("q", 0.9, 3.0, True), JudgedValue("q", 0.8, 2.0, False)]
    assert judged_values(scores, qrels, 2) == judged
    assert judged_values(scores, qrels, 2, unjudged_as_irrelevant=True) == [
        *judged,
        JudgedValue("q", 0.6, 1.0, False),
        JudgedValue("q", 0.5, 0.0, False),
    ]
    assert [one.relevant for one in judged_values(scores, qrels)] == [True, True]
    with pytest.raises(InputError, match="`level` of 1 or more, not 0"):
        judged_values(scores, qrels, 0)


def test_the_model_is_known_by_the_manifest_written_with_the_scores(tmp_path: Path) -> None:
    scores, manifest = tmp_path / "better.tsv", tmp_path / "better.json"
    assert model_of(scores) == (None, None)
    for content, model in (
        ({"config": {"output": {"scores": "out/better.tsv"}}, "model": {"name": "m"}}, "m"),
        ({"config": {"output": {"scores": "other.tsv"}}, "model": {"name": "m"}}, None),
        ({"config": {"output": {"scores": "better.tsv"}}, "model": {"name": 3}}, None),
        ({"config": [], "model": {"name": "m"}}, None),
        (["config"], None),
    ):
        manifest.write_text(json.dumps(content))
        assert model_of(scores) == (model, None)
    manifest.write_text("{")
    assert model_of(scores) == (None, None)
