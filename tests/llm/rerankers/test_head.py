"""Heads on hidden states, against the states themselves."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from rankprompt.errors import InputError, ModelError
from rankprompt.llm import load_model
from rankprompt.llm.base import Request
from rankprompt.llm.registry import is_reranker
from rankprompt.llm.rerankers.head_files import CONFIG, WEIGHTS
from tests.llm import tiny
from tests.llm.rerankers.heads import TEXT, save_base, save_head

REQUESTS = [
    Request(query, passage=passage)
    for query in ("the mill", "boats in the harbour")
    for passage in [*tiny.SENTENCES, ""]
]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_base(tmp_path_factory.mktemp("base") / "llama")


@pytest.fixture
def folder(base: Path, tmp_path: Path) -> Path:
    return save_head(tmp_path / "head", base)


def load(folder: Path, **how: Any) -> Any:
    return load_model(str(folder), **{"dtype": "float32", "device": "cpu", **how})


def scores(model: Any) -> list[float]:
    found = [0.0] * len(REQUESTS)
    for batch in model.plan(REQUESTS):
        answers, _ = model.answer([REQUESTS[index] for index in batch])
        for index, answer in zip(batch, answers, strict=True):
            (found[index],) = answer.loglikelihoods
    return found


def test_a_score_is_the_head_s_of_the_state(base: Path, folder: Path) -> None:
    prompts = [
        Request(TEXT.replace("{query}", one.prompt).replace("{passage}", one.passage or ""))
        for one in REQUESTS
    ]
    states, _ = load(base).last_states(prompts, [1])
    tensors = load_file(folder / WEIGHTS)
    expected = [float(state[0] @ tensors["weight"] + 0.5) for state in states]
    assert scores(load(folder)) == pytest.approx(expected, abs=1e-4)
    model = load(folder)
    assert [model.length(one) for one in REQUESTS] == [load(base).length(one) for one in prompts]


def test_a_head_on_two_layers_adds_what_each_says(base: Path, tmp_path: Path) -> None:
    both = save_head(tmp_path / "both", base, size=64, layers=(1, 2))
    weight = load_file(both / WEIGHTS)["weight"]
    expected = np.full(len(REQUESTS), 0.5)
    for layer, own in ((1, weight[:32]), (2, weight[32:])):
        one = save_head(tmp_path / str(layer), base, layers=(layer,))
        save_file({"weight": own.copy(), "bias": np.zeros(1, dtype=np.float32)}, one / WEIGHTS)
        expected += scores(load(one))
    assert scores(load(both)) == pytest.approx(expected.tolist(), abs=1e-4)
    assert load(both).weights.startswith("a head on layers 1, 2 of ")


def test_a_head_is_a_reranker_with_or_without_its_prefix(folder: Path, base: Path) -> None:
    assert is_reranker(str(folder))
    assert is_reranker(f"head:{folder}")
    assert not is_reranker(str(base))
    assert scores(load_model(f"head:{folder}", dtype="float32")) == scores(load(folder))
    with pytest.raises(ModelError, match="a reranker: it scores passages"):
        load(folder).answer([Request("no passage", ("a", "b"))])


def test_the_fingerprint_is_of_the_files(folder: Path, base: Path, tmp_path: Path) -> None:
    before = load(folder).fingerprint
    assert load(save_head(tmp_path / "same", base)).fingerprint == before
    tensors = load_file(folder / WEIGHTS)
    save_file({**tensors, "weight": tensors["weight"] + 1}, folder / WEIGHTS)
    assert load(folder).fingerprint != before
    assert load(save_head(tmp_path / "deeper", base, layers=(2,))).fingerprint != before


def test_another_base_model_is_told_or_refused(
    base: Path, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "rankprompt"):
        load(folder)
    assert "trained on another" in caplog.text
    narrow = save_head(tmp_path / "narrow", base, size=16)
    with pytest.raises(ModelError, match="reads 16 numbers, and the states of its model have 32"):
        scores(load(narrow))
    gone = save_head(tmp_path / "gone", tmp_path / "nowhere")
    with pytest.raises(ModelError, match=r"is a head on .*nowhere"):
        load(gone)


def change(folder: Path, **fields: object) -> None:
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps({**config, **fields}))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"form": "rankprompt head 1"}, "it is of the form 'rankprompt head 1'"),
        ({"layers": ["one"]}, "layers"),
        ({"layers": []}, "`layers` is empty"),
        ({"text": "Query: {query}"}, "must show {query} and {passage}"),
    ],
)
def test_a_folder_of_another_form_is_refused(
    folder: Path, fields: dict[str, object], message: str
) -> None:
    change(folder, **fields)
    with pytest.raises(ModelError, match=message) as caught:
        load(folder)
    assert "\n" not in str(caught.value)


def test_damaged_weights_are_refused(folder: Path) -> None:
    tensors = load_file(folder / WEIGHTS)
    for damaged, message in (
        ({**tensors, "weight": tensors["weight"] * np.float32("nan")}, "not finite"),
        ({"weight": tensors["weight"]}, "bias"),
        ({**tensors, "weight": tensors["weight"][None]}, "of a single score"),
    ):
        save_file(damaged, folder / WEIGHTS)
        with pytest.raises(ModelError, match=message):
            load(folder)
    (folder / WEIGHTS).write_bytes(b"\x80\x04pickle")
    with pytest.raises(ModelError, match="no head that can be read"):
        load(folder)


def test_code_of_a_model_s_own_plays_no_part(folder: Path) -> None:
    with pytest.raises(InputError, match="trust_remote_code"):
        load(folder, trust_remote_code=True)
    with pytest.raises(InputError, match="`adapter` plays no part"):
        load(folder, adapter="somewhere")
