"""Hidden states against plain transformers, one prompt at a time."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rankprompt.errors import ModelError
from rankprompt.llm.base import Request
from rankprompt.llm.local import lazy
from rankprompt.llm.local.model import LocalModel
from tests.llm import tiny
from tests.llm.local.small_models import MODELS, PROMPTS, ids, load, plain

REQUESTS = [Request(prompt) for prompt in PROMPTS]


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    make, _ = MODELS[request.param]
    return tiny.save(tmp_path_factory.mktemp("models") / request.param, make())


def test_the_states_are_those_of_the_last_token(folder: Path) -> None:
    model, alone = load(folder), plain(folder)
    found, usage = model.last_states(REQUESTS, [1])
    for prompt, states in zip(PROMPTS, found, strict=True):
        with torch.inference_mode():
            out = alone(input_ids=torch.tensor([ids(prompt)]), output_hidden_states=True)
        expected = out.hidden_states[1][0, -1].numpy()
        np.testing.assert_allclose(states[0], expected, rtol=1e-4, atol=1e-4)
    assert usage.tokens == sum(len(ids(prompt)) for prompt in PROMPTS)


def test_the_last_layer_s_state_is_before_the_final_norm(folder: Path) -> None:
    model, alone = load(folder), plain(folder)
    (states,), _ = model.last_states(REQUESTS[:1], [2, 1])
    norm = getattr(alone.base_model, "norm", None) or alone.base_model.ln_f
    with torch.inference_mode():
        out = alone.base_model(input_ids=torch.tensor([ids(PROMPTS[0])]))
        normed = norm(torch.from_numpy(states[0])).numpy()
    np.testing.assert_allclose(normed, out[0][0, -1].numpy(), rtol=1e-3, atol=1e-4)
    # The order is that of the layers asked for.
    (again,), _ = model.last_states(REQUESTS[:1], [1, 2])
    np.testing.assert_array_equal(again[::-1], states)


def test_reading_states_changes_no_answer(folder: Path) -> None:
    model = load(folder)
    request = Request("Which passage is more relevant?", (" A", " B"))
    before, _ = model.answer([request])
    model.last_states(REQUESTS, [1])
    assert model.answer([request])[0] == before


@pytest.mark.parametrize("layer", [0, 3])
def test_a_layer_that_is_none_is_refused(folder: Path, layer: int) -> None:
    model = load(folder)
    with pytest.raises(ModelError, match="a model of 2 layers"):
        model.last_states(REQUESTS, [layer])
    assert model.layers == 2


def test_a_lazy_model_gives_the_same_states(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANKPROMPT_CACHE", str(tmp_path))
    how: Any = {"dtype": "float32", "device": "cpu"}
    first: Any = lazy.load(str(folder), **how)
    second: Any = lazy.load(str(folder), **how)
    assert isinstance(first, LocalModel)
    assert not isinstance(second, LocalModel)
    expected, _ = first.last_states(REQUESTS, [2])
    found, _ = second.last_states(REQUESTS, [2])
    np.testing.assert_array_equal(np.stack(found), np.stack(expected))
    assert second.layers == 2


def test_an_encoder_decoder_and_a_long_prompt_are_refused(tmp_path: Path, folder: Path) -> None:
    t5 = load(tiny.save(tmp_path / "t5", tiny.t5()))
    with pytest.raises(ModelError, match="encoder-decoder"):
        t5.last_states(REQUESTS, [1])
    with pytest.raises(ModelError, match="does not fit into the 128"):
        load(folder).last_states([Request("harbour " * 200)], [1])
