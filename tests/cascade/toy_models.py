"""Tiny BERT models with random weights, as encoders and as cross-encoders."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, BertModel

from tests.llm import tiny


def cross_encoder(**changes: Any) -> BertForSequenceClassification:
    """A classifier with one label, unless ``num_labels`` is changed."""
    return BertForSequenceClassification(_config(**{"num_labels": 1, **changes}))


def save_cross_encoder(folder: Path, **changes: Any) -> Path:
    return tiny.save(folder, cross_encoder(**changes))


@pytest.fixture(scope="session")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a cross-encoder; a fixture to import."""
    folder = tmp_path_factory.mktemp("teacher")
    return save_cross_encoder(folder, hidden_size=16, intermediate_size=24)


def save_sentence_encoder(folder: Path) -> Path:
    return tiny.save(folder, BertModel(_config(num_hidden_layers=2, max_position_embeddings=64)))


def _config(**changes: Any) -> BertConfig:
    torch.manual_seed(0)
    make: Any = BertConfig
    config: BertConfig = make(
        **{
            "vocab_size": 400,
            "hidden_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 48,
            "initializer_range": 0.5,
            "max_position_embeddings": 128,
            **changes,
        }
    )
    return config
