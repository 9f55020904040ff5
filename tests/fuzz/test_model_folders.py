"""Folders of models: a file that is damaged gives the scores that it gave before, or a refusal."""

import json
import random
import re
from pathlib import Path

import pytest
import torch
from torch import nn

from rankprompt.cascade.aggregation import aggregate_by
from rankprompt.cascade.input_embeddings import Encoder, load_encoder
from rankprompt.cascade.students.ck import CK, load_ck, save_ck
from rankprompt.cascade.students.encoder import load_encoder_student
from rankprompt.cascade.training.checkpoint import TrainingState, read_checkpoint, write_checkpoint
from rankprompt.cascade.training.trainable_teacher import load_trainable
from rankprompt.llm.encoder_networks import load_network
from rankprompt.llm.local.loading import load_pair
from rankprompt.llm.tokenizer_offsets import model_offsets, token_counter
from tests.fuzz.conftest import fuzz, is_refused
from tests.llm import tiny
from tests.mutations import mutate, mutate_bytes

pytestmark = pytest.mark.filterwarnings("ignore")  # of other libraries, about what they are given
WINDOWS = ["The boats are asleep.", "An old mill stands above the river."]


def modest(rng: random.Random, content: bytes) -> bytes:
    """Mutations without huge numbers, of which transformers would make as many layers."""
    mutated = mutate(rng, content)
    return content[:-9] if re.search(rb"\d{7}", mutated) else mutated


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny.save(tmp_path / "encoder", tiny.bert())


def test_the_card_and_the_weights_of_a_ck_student(folder: Path, tmp_path: Path) -> None:
    encoder = load_encoder(folder)
    trained = tmp_path / "ck"
    save_ck(CK(encoder.weight, 4), encoder, trained, {"steps": 3})
    right = load_ck(trained, encoder)("the mill", WINDOWS)

    def read(given: Encoder | None = encoder) -> None:
        assert load_ck(trained, given)("the mill", WINDOWS) == right

    assert fuzz(trained / "ck.json", read, 500) > 300
    assert fuzz(trained / "ck.json", lambda: read(None), 50) > 20
    assert fuzz(trained / "ck.safetensors", read, 100, mutate_bytes) > 80


def test_the_weights_of_the_best_windows(tmp_path: Path) -> None:
    path = tmp_path / "cascade.json"
    path.write_text(json.dumps({"top_weights": [0.5, 0.25, 0.125], "training": {"steps": 3}}))

    def read() -> None:
        score = aggregate_by("learned", tmp_path)([2.0])
        assert score == 2 * json.loads(path.read_bytes())["top_weights"][0]

    assert fuzz(path, read, 500) > 250


def test_the_pooling_of_an_encoder(folder: Path) -> None:
    path = folder / "1_Pooling" / "config.json"
    path.parent.mkdir()
    modes = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False, "dimension": 32}
    path.write_text(json.dumps(modes))
    scores = {
        name: load_encoder_student(folder, name)("the mill", WINDOWS) for name in ("cls", "mean")
    }

    def read() -> None:
        given = load_encoder_student(folder)("the mill", WINDOWS)
        said = json.loads(path.read_bytes())["pooling_mode_cls_token"]
        assert given == scores["cls" if said is True else "mean"]

    assert fuzz(path, read, 100) > 50


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "tokenizer.json"])
def test_the_files_of_an_encoder(folder: Path, name: str) -> None:
    def read() -> None:
        network = load_network(folder, "encoder")
        encoded = network.tokenizer.encode_batch(WINDOWS)
        assert sum(len(batch.indices) for batch in network.run(encoded)) == len(WINDOWS)

    assert fuzz(folder / name, read, 40, modest) > 10


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_the_files_of_a_teacher_and_of_a_tokenizer(folder: Path, name: str) -> None:
    def read() -> None:
        load_trainable(folder)
        assert model_offsets(str(folder))("the mill")
        assert all(token_counter(str(folder))(WINDOWS))

    assert fuzz(folder / name, read, 40, modest, as_folder=False) > 3


@pytest.mark.parametrize(
    "name", ["config.json", "tokenizer_config.json", "tokenizer.json", "generation_config.json"]
)
def test_the_files_of_a_language_model(tmp_path: Path, name: str) -> None:
    folder = tiny.save(tmp_path / "model", tiny.llama())

    def read() -> None:
        load_pair(str(folder), dtype=torch.float32, device=torch.device("cpu"))

    assert fuzz(folder / name, read, 40, modest, as_folder=False) > 3


def test_the_checkpoint_of_a_training(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    model = nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    best = {name: value.clone() for name, value in model.state_dict().items()}
    curve = [{"step": 4.0, "loss": 0.5, "ndcg@10": 0.25}]
    write_checkpoint(
        path, TrainingState(4, 0.25, 1, curve, 1.5, False, best), model, optimizer, "x"
    )
    refused, content = 0, path.read_bytes()
    for seed in range(600):
        path.write_bytes(mutate_bytes(random.Random(seed), content))
        again = nn.Linear(3, 2)

        def read() -> None:
            state = read_checkpoint(path, again, torch.optim.Adam(again.parameters()), "x")
            assert (state.step, state.best, state.curve) == (4, 0.25, curve)
            for tensors in (again.state_dict(), state.best_model):
                assert all(torch.equal(tensors[name], best[name]) for name in best)

        refused += is_refused(read, f"seed {seed}")
    assert refused > 500
