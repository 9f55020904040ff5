"""Every architecture answers as plain transformers does, one unpadded row at a time."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from rankprompt.errors import ModelError
from rankprompt.llm.base import Answer, Request
from rankprompt.llm.local.model import LocalModel
from tests.llm import tiny
from tests.llm.local.architectures import TABLE, build
from tests.llm.local.small_models import ids, load

SHARED = "The passage about the harbour is more relevant than the passage about the mill. "
ENDS = [
    "An old mill stands above",
    "the boats are still asleep, and the wheel has not turned for years. Which passage?",
    "harbour",
    "river " * 9,
]
OPTIONS = (" A", " Passage B", " The harbour is quiet")
REQUESTS = [
    *(Request(SHARED + end, OPTIONS, breaks=(len(SHARED),)) for end in ENDS),
    Request("A B", OPTIONS),
]
# Some 50 tokens more than where the frequencies of "phi3-longrope" change.
LONG = [
    Request(SHARED + "river " * length, OPTIONS, breaks=(len(SHARED),))
    for length in (3, 60, 75, 96, 120)
]

# One of each kind; the others take a minute more.
QUICK = {
    "gpt2", "mpt", "rwkv", "llama", "falcon-alibi", "gemma2", "phi3-longrope", "mamba", "qwen3_moe",
    "t5", "t5gemma", "mistral3", "qwen2_vl", "gpt_oss",
}  # fmt: skip
NAMES = [name if name in QUICK else pytest.param(name, marks=pytest.mark.model) for name in TABLE]


def loaded(name: str, folder: Path) -> tuple[LocalModel, Any]:
    """The model as we load it, and as transformers does."""
    model = build(name)
    tiny.save(folder, model)
    return load(folder), type(model).from_pretrained(folder, dtype=torch.float32).eval()


def written_by_us(model: LocalModel, requests: Sequence[Request]) -> list[Answer]:
    answers: dict[int, Answer] = {}
    for batch in model.plan(requests):
        found, _ = model.answer([requests[index] for index in batch])
        answers |= dict(zip(batch, found, strict=True))
    return [answers[index] for index in range(len(requests))]


def start_token(model: Any) -> int:
    own = model.generation_config
    found = own.decoder_start_token_id
    return int(own.bos_token_id if found is None else found)


@torch.inference_mode()
def by_plain_transformers(model: Any, request: Request) -> list[float]:
    before = ids(request.prompt)
    found = []
    for option in request.options:
        tokens = ids(option)
        if model.config.is_encoder_decoder:
            decoded = torch.tensor([[start_token(model), *tokens[:-1]]])
            out = model(input_ids=torch.tensor([before]), decoder_input_ids=decoded).logits[0]
        else:
            row = torch.tensor([[*before, *tokens[:-1]]])
            out = model(input_ids=row, use_cache=False).logits[0, len(before) - 1 :]
        chosen = out.float().log_softmax(-1)[range(len(tokens)), tokens]
        found.append(float(chosen.sum()))
    return found


@torch.inference_mode()
def text_of_plain_transformers(model: Any, prompt: str, most: int) -> str:
    before = torch.tensor([ids(prompt)])
    out = model.generate(
        before, attention_mask=torch.ones_like(before), do_sample=False, max_new_tokens=most
    )
    start = 1 if model.config.is_encoder_decoder else before.shape[1]
    return str(tiny.tokenizer().decode(out[0, start:], skip_special_tokens=True))


def check(model: LocalModel, reference: Any, requests: Sequence[Request]) -> None:
    for request, answer in zip(requests, written_by_us(model, requests), strict=True):
        expected = by_plain_transformers(reference, request)
        assert all(map(math.isfinite, expected))
        assert answer.loglikelihoods == pytest.approx(expected, abs=1e-4)
    to_write = [request._replace(options=(), max_tokens=6) for request in requests]
    for request, answer in zip(to_write, written_by_us(model, to_write), strict=True):
        assert answer.text == text_of_plain_transformers(reference, request.prompt, 6)


@pytest.mark.parametrize("name", NAMES)
def test_answers_are_those_of_plain_transformers(name: str, tmp_path: Path) -> None:
    check(*loaded(name, tmp_path), REQUESTS)


def test_rows_on_both_sides_of_a_change_of_frequencies(tmp_path: Path) -> None:
    model, reference = loaded("phi3-longrope", tmp_path)
    lengths = [len(ids(request.prompt)) for request in LONG]
    assert min(lengths) < 95
    assert max(lengths) > 105
    # Not only because nothing is reused.
    assert model.prefix_cache is not None
    check(model, reference, LONG)


def test_frequencies_that_depend_on_the_length_are_used_up_to_the_trained_one(
    tmp_path: Path,
) -> None:
    rope = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 4.0}
    reference = tiny.llama(max_position_embeddings=100, rope_parameters=rope).eval()
    model = load(tiny.save(tmp_path, reference))
    with pytest.raises(ModelError, match="does not fit into the 100 of"):
        model.answer(LONG)
    check(model, reference, LONG[:1])


def test_relative_positions_have_no_limit(tmp_path: Path) -> None:
    words = tiny.tokenizer()
    words.model_max_length = 512
    model = load(tiny.save(tmp_path, tiny.t5(), words))
    (answer,), _ = model.answer([Request("river " * 600, OPTIONS)])
    assert all(map(math.isfinite, answer.loglikelihoods))


def test_a_model_that_reads_both_ways_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is an encoder"):
        load(tiny.save(tmp_path, tiny.bert()))


def test_logits_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    model = tiny.llama()
    with torch.no_grad():
        model.model.norm.weight.fill_(torch.inf)
    with pytest.raises(ModelError, match="not numbers in float32; load it with another `dtype`"):
        load(tiny.save(tmp_path, model))
