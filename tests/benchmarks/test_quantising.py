from typing import Any

import pytest
import torch

from benchmarks.quantising import Int8Linear, quantise
from tests.llm import tiny


@pytest.fixture
def layer() -> torch.nn.Linear:
    torch.manual_seed(0)
    return torch.nn.Linear(64, 48, bias=False)


@torch.inference_mode()
def test_a_layer_of_integers_is_near_its_own(layer: torch.nn.Linear) -> None:
    inputs = torch.randn(2, 5, 64)
    # Twice as large as the others and without an input: so that no sum of two products exceeds 16
    # bits, where a processor without such products would clip it.
    layer.weight[:, 0], inputs[..., 0] = 0.25, 0
    expected, found = layer(inputs), Int8Linear(layer)(inputs)
    assert found.shape == expected.shape
    assert 0 < (found - expected).norm() < 0.03 * expected.norm()


@torch.inference_mode()
def test_a_token_does_not_feel_its_company(layer: torch.nn.Linear) -> None:
    token, large, integers = torch.randn(1, 64), 1000 * torch.randn(30, 64), Int8Linear(layer)
    assert torch.equal(integers(torch.cat([token, large]))[:1], integers(token))
    assert torch.equal(integers(torch.zeros(1, 64)), torch.zeros(1, 48))


@torch.inference_mode()
def test_of_a_model_all_layers_are_replaced_but_the_last() -> None:
    model: Any = tiny.llama()
    model.eval()
    ids = torch.arange(3, 23).reshape(1, 20)
    before = model(input_ids=ids).logits
    linear = sum(type(one) is torch.nn.Linear for one in model.modules())
    quantise(model)
    assert sum(type(one) is Int8Linear for one in model.modules()) == linear - 1
    assert type(model.get_output_embeddings()) is torch.nn.Linear
    after = model(input_ids=ids).logits
    assert after.isfinite().all()
    assert not torch.equal(after, before)
