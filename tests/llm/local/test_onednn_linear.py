import platform
from collections.abc import Callable
from typing import Any

import pytest
import torch

from rankprompt.llm.base import Request
from rankprompt.llm.local import onednn_linear as products
from rankprompt.llm.local.model import LocalModel
from rankprompt.llm.local.onednn_linear import prepack
from rankprompt.llm.local.preparation import fingerprint
from tests.llm import tiny

IDS = torch.tensor([[5, 6, 7, 8], [9, 10, 11, 12]])
X86 = platform.machine() in ("x86_64", "AMD64")
here = pytest.mark.skipif(not X86, reason="oneDNN's layout is taken on x86 alone")


def formats() -> list[Any]:
    """Those that oneDNN multiplies here; a processor without AVX-512 has no bfloat16."""
    known = X86 and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    absent = pytest.mark.skipif(not known, reason="oneDNN multiplies no bfloat16 here")
    return [torch.float32, pytest.param(torch.bfloat16, marks=absent)]


MODELS: dict[str, Callable[[], Any]] = {
    "llama": tiny.llama,
    "tied": lambda: tiny.llama(tie_word_embeddings=True),
    "gpt2": tiny.gpt2,
    "t5": tiny.t5,
}


def logits(model: Any) -> torch.Tensor:
    more = {"decoder_input_ids": IDS} if model.config.is_encoder_decoder else {}
    with torch.inference_mode():
        found: torch.Tensor = model(input_ids=IDS, **more).logits
    return found


@here
@pytest.mark.parametrize("dtype", formats())
@pytest.mark.parametrize("name", MODELS)
def test_a_laid_out_model_answers_as_before(name: str, dtype: torch.dtype) -> None:
    plain, laid = (MODELS[name]().to(dtype).eval() for _ in range(2))
    assert prepack(laid)
    assert laid.dtype == dtype
    rel = 1e-5 if dtype == torch.float32 else 0.02
    torch.testing.assert_close(logits(laid), logits(plain), rtol=rel, atol=rel * 10)
    before, after = plain.state_dict(), laid.state_dict()
    assert list(before) == list(after)
    assert any(one.is_mkldnn for one in after.values())
    for key, value in after.items():
        whole = value.to_dense() if value.is_mkldnn else value
        assert torch.equal(whole, before[key]), key


@here
def test_a_bias_is_added_and_a_hook_is_kept() -> None:
    layer = torch.nn.Linear(8, 5)
    seen = []
    layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape))
    rows = torch.randn(2, 3, 8)
    with torch.inference_mode():
        before = layer(rows)
        assert prepack(layer)
        torch.testing.assert_close(layer(rows), before)
        assert layer(rows[:, :0]).shape == (2, 0, 5)
    assert seen == [rows.shape, rows.shape, (2, 0, 8)]


@here
@pytest.mark.parametrize("dtype", formats())
def test_the_fingerprint_is_that_of_the_weights_as_they_came(dtype: torch.dtype) -> None:
    network, words = tiny.llama(tie_word_embeddings=True), tiny.tokenizer()
    network.to(dtype)  # type: ignore[arg-type]
    before = fingerprint(network, words, {})
    assert prepack(network)
    assert fingerprint(network, words, {}) == before
    with torch.no_grad():
        network.model.embed_tokens.weight[7, 7] += 1
    assert fingerprint(network, words, {}) != before


@here
def test_what_a_local_model_was_made_of_can_make_another() -> None:
    network, words = tiny.llama().to(torch.bfloat16).eval(), tiny.tokenizer()  # type: ignore[arg-type]
    asked = Request("The mill", (" A", " B"))
    first, second = (LocalModel(network, words, name="one") for _ in range(2))
    assert first.answer([asked]) == second.answer([asked])


def no_operator(*_: object) -> torch.Tensor:
    raise RuntimeError("no such operator\nand much more")


def wrong(rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    return torch.nn.functional.linear(rows, weight.to_dense(), bias) + 1


@pytest.mark.parametrize(
    ("where", "name", "change"),
    [
        (platform, "machine", lambda: "aarch64"),
        (products, "reorder", no_operator),
        (products, "product", no_operator),
        (products, "product", wrong),
    ],
)
def test_without_good_operators_the_layers_stay(
    where: Any, name: str, change: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(where, name, change)
    model, other = tiny.llama(), tiny.llama()
    assert not prepack(model)
    assert {type(one) for one in model.modules() if isinstance(one, torch.nn.Linear)} == {
        torch.nn.Linear
    }
    assert torch.equal(logits(model), logits(other))


class Reaching(torch.nn.Module):
    """Takes a layer's weight past the layer."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = torch.nn.Linear(8, 8), torch.nn.Linear(8, 8)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.linear(self.one(rows), self.other.weight[:4] * 2)


@here
def test_a_model_that_reaches_for_a_weight_stays_as_it_was() -> None:
    model, rows = Reaching(), torch.randn(3, 8)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert not prepack(model, lambda one: one(rows))
    assert {type(one) for one in (model.one, model.other)} == {torch.nn.Linear}
    after = model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    model.one.weight.requires_grad_()  # no inference tensor, which could not be trained
    model(rows).sum().backward()
    assert model.one.weight.grad is not None


@here
@pytest.mark.parametrize("later", [torch.tensor([1.0, 9.0]), torch.tensor([1.0, float("nan")])])
def test_a_model_that_answers_otherwise_stays_as_it_was(later: torch.Tensor) -> None:
    layer, answers = torch.nn.Linear(8, 8), [torch.tensor([1.0, 2.0]), later]
    assert not prepack(layer, lambda _: answers.pop(0))
    assert answers == []
    assert type(layer) is torch.nn.Linear
    assert not layer.weight.is_mkldnn
    assert prepack(layer, lambda _: torch.ones(2))


def test_another_format_and_layers_of_another_kind_stay() -> None:
    half = torch.nn.Linear(4, 4).half()
    assert not prepack(half)
    assert type(half) is torch.nn.Linear
    own = type("Own", (torch.nn.Linear,), {})(4, 4)
    assert not prepack(own)
    assert not own.weight.is_mkldnn
