"""The convolutional kernel model against a reference in loops, its edges, and its files."""

import json
import math
from pathlib import Path

import pytest
import torch

from rankprompt.cascade.input_embeddings import Encoder, load_encoder
from rankprompt.cascade.students.ck import CK, KERNELS, CKStudent, load_ck, save_ck
from rankprompt.errors import ModelError
from tests.llm import tiny

WINDOWS = [
    "The boats are asleep.",
    "An old mill stands above the river; its wheel turns.",
    "the",
    "",
]
QUERY = "Which harbour is quiet?"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp("encoder"), tiny.bert())


@pytest.fixture(scope="module")
def encoder(folder: Path) -> Encoder:
    return load_encoder(folder)


def model_of(encoder: Encoder, channels: int | None = None) -> CK:
    torch.manual_seed(1)
    model = CK(encoder.weight, channels)
    with torch.no_grad():
        model.scale.uniform_(0.5, 2)
        model.combine.weight.uniform_(-0.1, 0.1)
    return model.eval()


def grams(model: CK, tokens: list[int]) -> list[list[float]]:
    """Convolution over three tokens, ReLU, length 1."""
    vectors = [model.embedding[token].tolist() for token in tokens]
    weight, bias = model.convolution.weight.tolist(), model.convolution.bias
    assert bias is not None
    found = []
    for place in range(len(tokens)):
        row = []
        for channel, start in enumerate(bias.tolist()):
            value = start
            for offset in (-1, 0, 1):
                if 0 <= place + offset < len(tokens):
                    for dimension, number in enumerate(vectors[place + offset]):
                        value += weight[channel][dimension][offset + 1] * number
            row.append(max(0.0, value))
        length = math.sqrt(sum(value**2 for value in row))
        found.append([value / max(length, 1e-12) for value in row])
    return found


def slow(model: CK, query: list[int], window: list[int]) -> float:
    """METHODS.md, section 2, a number at a time."""
    score = model.combine.bias.item()
    asked, read = grams(model, query), grams(model, window)
    for number, mu in enumerate(KERNELS):
        pooled = 0.0
        for one in asked:
            total = 0.0
            for other in read:
                cosine = sum(a * b for a, b in zip(one, other, strict=True))
                total += math.exp(-((cosine - mu) ** 2) / (2 * 0.1**2))
            pooled += math.log(max(1e-4, total * model.scale[number].item()))
        score += model.combine.weight[0, number].item() * pooled
    return score


@pytest.mark.parametrize("channels", [None, 5])
def test_it_agrees_with_a_reference_in_loops(encoder: Encoder, channels: int | None) -> None:
    student = CKStudent(model_of(encoder, channels), encoder)
    ids = [encoder.tokenizer.encode(text).ids for text in (QUERY, *WINDOWS)]
    expected = [slow(student.model, ids[0], window) for window in ids[1:]]
    assert student(QUERY, WINDOWS) == pytest.approx(expected, abs=1e-5)
    assert len({round(score, 3) for score in expected}) == len(WINDOWS)


def test_padding_changes_no_score(encoder: Encoder) -> None:
    student = CKStudent(model_of(encoder), encoder)
    together = student(QUERY, [*WINDOWS, "river " * 100])
    alone = [student(QUERY, [window])[0] for window in WINDOWS]
    assert together[:-1] == pytest.approx(alone, abs=1e-5)
    queries = [QUERY, "mill " * 20]
    longer = student.model(
        encoder.encode(queries), encoder.encode(WINDOWS), torch.zeros(len(WINDOWS)).long()
    )
    assert longer.tolist() == pytest.approx(alone, abs=1e-5)


def test_a_query_of_more_than_30_tokens_is_cut_and_known(encoder: Encoder) -> None:
    student = CKStudent(model_of(encoder), encoder)
    tokens = encoder.tokenizer.encode("mill river " * 20).offsets
    text = "mill river " * 20
    read, longer = text[: tokens[29][1]], text[: tokens[30][1]]
    assert [student.cuts(one) for one in ("", QUERY, read, longer)] == [False, False, False, True]
    assert student(longer, WINDOWS) == pytest.approx(student(read, WINDOWS), abs=1e-6)


def test_more_windows_than_a_batch_keep_their_order(encoder: Encoder) -> None:
    student = CKStudent(model_of(encoder), encoder)
    many = [f"boat {number} river" for number in range(150)]
    assert student(QUERY, many) == pytest.approx([student(QUERY, [it])[0] for it in many], abs=1e-5)
    assert student(QUERY, []) == []


@pytest.mark.parametrize("query", ["", "mill", "mill " * 30])
@pytest.mark.parametrize("window", ["", "mill", "mill river " * 1000])
def test_gradients_are_finite(encoder: Encoder, query: str, window: str) -> None:
    model = model_of(encoder)
    score = model(encoder.encode([query]), encoder.encode([window]))
    assert torch.isfinite(score).all()
    score.sum().backward()
    for parameter in model.parameters():
        assert parameter.grad is not None
        assert torch.isfinite(parameter.grad).all()


def test_embeddings_are_neither_trained_nor_saved(encoder: Encoder) -> None:
    model = CK(encoder.weight.clone().requires_grad_())
    assert not model.embedding.requires_grad
    assert not any("embedding" in name for name in model.state_dict())
    assert model.combine.weight.abs().max() <= 0.01


def test_a_saved_student_scores_alike(encoder: Encoder, tmp_path: Path) -> None:
    model = model_of(encoder, 7)
    save_ck(model, encoder, tmp_path / "ck", {"loss": "lambda"})
    student = load_ck(tmp_path / "ck")
    assert student(QUERY, WINDOWS) == CKStudent(model, encoder)(QUERY, WINDOWS)
    assert json.loads((tmp_path / "ck" / "ck.json").read_text())["training"] == {"loss": "lambda"}
    assert encoder.fingerprint in (tmp_path / "ck" / "README.md").read_text()


def test_another_encoder_or_tokenizer_is_refused(
    encoder: Encoder, folder: Path, tmp_path: Path
) -> None:
    save_ck(model_of(encoder), encoder, tmp_path / "ck", {})
    tiny.save(tmp_path / "other", tiny.bert(seed=1))
    with pytest.raises(ModelError, match=r"made with another encoder \(.*give that one"):
        load_ck(tmp_path / "ck", str(tmp_path / "other"))
    tiny.save(tmp_path / "words", tiny.bert(), tiny.tokenizer(bos=True))
    with pytest.raises(ModelError, match="made with another tokenizer"):
        load_ck(tmp_path / "ck", str(tmp_path / "words"))
    assert load_ck(tmp_path / "ck", str(folder))(QUERY, WINDOWS)


@pytest.mark.parametrize("damage", ["card", "weights", "other weights", "nothing there"])
def test_a_damaged_folder_is_refused_in_one_line(
    encoder: Encoder, tmp_path: Path, damage: str
) -> None:
    save_ck(model_of(encoder), encoder, tmp_path, {})
    if damage == "card":
        card = json.loads((tmp_path / "ck.json").read_text())
        (tmp_path / "ck.json").write_text(json.dumps({**card, "encoder": None}))
    elif damage == "weights":
        (tmp_path / "ck.safetensors").write_bytes(b"no tensors")
    elif damage == "other weights":
        save_ck(model_of(encoder, 9), encoder, tmp_path / "other", {})
        (tmp_path / "other" / "ck.safetensors").replace(tmp_path / "ck.safetensors")
    else:
        (tmp_path / "ck.json").unlink()
    with pytest.raises(ModelError, match="not a CK student") as caught:
        load_ck(tmp_path)
    assert "\n" not in str(caught.value)


def test_an_encoder_without_a_tokenizer_or_with_a_strange_one_is_refused(
    folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=r"expected a folder with a tokenizer\.json"):
        load_encoder(tmp_path)
    (tmp_path / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes())
    with pytest.raises(ModelError, match="cannot load the encoder"):
        load_encoder(tmp_path)
    (tmp_path / "model.onnx").write_bytes(b"\x08\x07nothing of the kind")
    with pytest.raises(ModelError, match="cannot read the input embeddings"):
        load_encoder(tmp_path)


def test_a_query_is_cut_at_30_tokens(encoder: Encoder) -> None:
    student = CKStudent(model_of(encoder), encoder)
    ids = encoder.tokenizer.encode("mill " * 40).ids
    assert student("mill " * 40, WINDOWS)[0] == pytest.approx(
        slow(student.model, ids[:30], encoder.tokenizer.encode(WINDOWS[0]).ids), abs=1e-4
    )
