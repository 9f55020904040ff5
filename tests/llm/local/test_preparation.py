import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rankprompt.llm.local.loading import load_pair
from rankprompt.llm.local.model import LocalModel
from tests.llm import tiny
from tests.llm.local.small_models import ids, load, plain


@given(
    st.text(alphabet="aé中😀🏳️‍🌈 passage", max_size=40) | st.text(max_size=40), st.integers(0, 30)
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_cut_text_has_its_tokens_and_whole_characters(
    planner: LocalModel, text: str, tokens: int
) -> None:
    found = planner.truncate(text, tokens)
    assert text.startswith(found)
    assert len(ids(found)) <= tokens
    if found != text:
        assert len(ids(text[: len(found) + 1])) > tokens


def test_a_cut_ends_before_the_character_that_does_not_fit(planner: LocalModel) -> None:
    assert len(ids("😀")) == 4
    assert [planner.truncate("😀😀", tokens) for tokens in (3, 4, 7, 8)] == ["", "😀", "😀", "😀😀"]


def test_the_tokenizers_limit_counts_too(tmp_path: Path) -> None:
    words = tiny.tokenizer()
    words.model_max_length = 50
    assert load(tiny.save(tmp_path, tiny.llama(), words)).context_length == 50


def test_a_fingerprint_is_the_same_after_reloading_and_moving(llama: Path, tmp_path: Path) -> None:
    fingerprint = load(llama).fingerprint
    assert load(llama).fingerprint == fingerprint
    assert load(shutil.copytree(llama, tmp_path / "moved")).fingerprint == fingerprint
    assert load(llama, batch_tokens=7).fingerprint == fingerprint


def test_a_fingerprint_changes_with_all_that_answers_depend_on(llama: Path, tmp_path: Path) -> None:
    def changed(name: str, change: Callable[[Any], None], **words: Any) -> str:
        model = plain(llama)
        with torch.no_grad():
            change(model)
        settings = {"template": tiny.TEMPLATE, **words}
        return load(tiny.save(tmp_path / name, model, tiny.tokenizer(**settings))).fingerprint

    def nudge(model: Any) -> None:
        # A number that the sample of 1,024 leaves out.
        weight = model.model.embed_tokens.weight
        assert weight.numel() // 1024 > 7
        weight.view(-1)[7] += 1e-6

    def end(model: Any) -> None:
        model.generation_config.eos_token_id = 5

    def turn(model: Any) -> None:
        model.config.rope_parameters = {"rope_type": "default", "rope_theta": 77.0}

    def swap(model: Any) -> None:
        one, other = (layer.mlp.up_proj for layer in model.model.layers)
        one.weight, other.weight = other.weight, one.weight

    same = changed("same", lambda _: None)
    assert same == load(llama).fingerprint
    prints = [
        same,
        load(llama, dtype="bfloat16").fingerprint,
        load(llama, dtype="float16").fingerprint,
        changed("nudged", nudge),
        changed("swapped", swap),
        changed("ended", end),
        changed("turned", turn),
        changed("template", lambda _: None, template=tiny.TEMPLATE + " "),
        changed("no-template", lambda _: None, template=None),
        changed("words", lambda _: None, bos=True),
    ]
    assert len(set(prints)) == len(prints)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_the_last_projection_is_in_float32(folder: Path, dtype: str) -> None:
    half = getattr(torch, dtype)
    loaded = load_pair(str(folder), dtype=half, device=torch.device("cpu"))
    LocalModel(*loaded, name="tiny")
    model: Any = loaded[0]
    ids = torch.tensor([[5, 6, 7]])
    more = {"decoder_input_ids": ids} if model.config.is_encoder_decoder else {}
    with torch.inference_mode():
        logits = model(input_ids=ids, **more).logits
    assert logits.dtype == torch.float32
    assert (logits.to(half).float() != logits).float().mean() > 0.5
    # The input embeddings may be the same weights; they stay as they are.
    words = model.get_input_embeddings().weight
    assert words.dtype == half
    assert torch.equal(words, plain(folder).get_input_embeddings().weight.to(half))
    head = model.get_output_embeddings().weight
    assert head.dtype == torch.float32
    whole = head.to_dense() if head.is_mkldnn else head
    assert torch.equal(whole, words.float()) is (folder.name != "llama")
