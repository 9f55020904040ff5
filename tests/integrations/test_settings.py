"""The settings that adapters share: what is saved of a reranker, and what is refused."""

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from rankprompt import RerankConfig, Reranker
from rankprompt.errors import InputError
from rankprompt.integrations.settings import TextRanker
from rankprompt.llm.rerankers.names import MINILM
from tests.cascade.toy_models import teacher

__all__ = ["teacher"]

QUERY = "why is the sky blue"
TEXTS = ["a mill by the river", "bees", "blue light is scattered", "a boat"]
SERVER: dict[str, Any] = {"base_url": "http://localhost:1/v1"}


def test_settings_are_the_arguments_as_json_holds_them(teacher: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"journal": tmp_path / "answers.journal", "batch_tokens": 500}
    ranker = TextRanker(str(teacher), threshold=0.1, options=options)
    assert json.loads(json.dumps(ranker.settings)) == {
        "model": str(teacher),
        "method": None,
        "k": None,
        "threshold": 0.1,
        "options": {"journal": str(tmp_path / "answers.journal"), "batch_tokens": 500},
    }
    assert TextRanker(**ranker.settings) == ranker


def test_a_reranker_is_described_so_that_its_like_can_be_made(teacher: Path) -> None:
    stages = [f"pointwise:{teacher}@3", f"heapsort:{teacher}@2 k=1"]
    for reranker in (
        Reranker(str(teacher), method="allpair", threshold=0.2),
        Reranker(stages=stages),
        # Its depth is 100, and not all.
        Reranker.from_config(RerankConfig(), model=str(teacher)),
    ):
        ranker = TextRanker(reranker)
        again = TextRanker(**json.loads(json.dumps(ranker.settings)))
        assert again.reranker.config == reranker.config
        assert again.rank(QUERY, TEXTS) == ranker.rank(QUERY, TEXTS)
        assert again == ranker


def test_a_model_is_not_saved_beside_stages_that_name_their_own(teacher: Path) -> None:
    stages = [f"pointwise:{teacher}@3", f"heapsort:{teacher}@2"]
    assert TextRanker(Reranker(stages=stages)).settings["model"] is None
    # A stage without a model has that of the reranker.
    ranker = TextRanker(str(teacher), options={"stages": ["pointwise@3", stages[1]]})
    assert ranker.settings["model"] is None
    assert TextRanker(**ranker.settings).reranker.config == ranker.reranker.config


def test_options_change_a_reranker_that_is_handed_in(teacher: Path) -> None:
    reranker = Reranker(str(teacher))
    ranker = TextRanker(reranker, method="allpair", options={"seed": 3})
    assert (ranker.reranker.config.ranker.method, ranker.reranker.config.seed) == ("allpair", 3)
    assert reranker.config.ranker.method == "pointwise"
    assert ranker != TextRanker(reranker)


def test_copies_share_the_reranker_and_a_pickle_makes_its_like(teacher: Path) -> None:
    ranker = TextRanker(str(teacher))
    expected = ranker.rank(QUERY, TEXTS)
    assert copy.deepcopy(ranker).reranker is ranker.reranker
    loaded = pickle.loads(pickle.dumps(ranker))
    assert loaded.reranker is not ranker.reranker
    assert loaded.rank(QUERY, TEXTS) == expected


def test_the_model_is_warmed_up_once(teacher: Path) -> None:
    ranker = TextRanker(str(teacher))
    ranker.warm_up()
    prompts = ranker.reranker.usage.prompts
    ranker.warm_up()
    assert ranker.reranker.usage.prompts == prompts == 2


def test_no_key_is_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEAM_KEY", "s3cret")
    kept = TextRanker("openai:m", options={**SERVER, "header": ["X-Key:env:TEAM_KEY"]})
    assert "s3cret" not in str(kept.settings)
    assert TextRanker(**kept.settings) == kept
    stage = "heapsort:openai:m@3 header=X-Key:s3cret base_url=http://localhost:1/v1"
    refused: list[dict[str, Any]] = [
        {"model": "openai:m", "options": {**SERVER, "header": "X-Key:s3cret"}},
        {"model": MINILM, "options": {"stages": [stage]}},
    ]
    for arguments in refused:
        with pytest.raises(InputError, match="write NAME:env:VARIABLE in an adapter") as caught:
            TextRanker(**arguments)
        assert "s3cret" not in str(caught.value)
    handed_in = TextRanker(Reranker("openai:m", **SERVER, header="X-Key:s3cret"))
    assert "s3cret" not in str(handed_in.settings)
    with pytest.raises(InputError, match="X-Key: give its value again"):
        TextRanker(**handed_in.settings)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k": 3, "options": {"k": 4}}, "`k` is given twice: leave it out of `options`"),
        ({"options": {"model": "x"}}, "`model` is given twice"),
        ({"options": {"sead": 1}}, "unknown option `sead`; did you mean `seed`"),
        ({"method": "bubble"}, "unknown method 'bubble'"),
        ({"threshold": 2}, "`threshold` must be from 0 to 1"),
    ],
)
def test_mistakes_are_told_before_a_model_is_loaded(
    arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        TextRanker("rerank:m", **{"options": SERVER, **arguments})
