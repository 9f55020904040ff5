"""A head with random weights on a tiny language model."""

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from rankprompt.llm.rerankers.head_files import CONFIG, WEIGHTS, HeadConfig, format_config
from tests.llm import tiny

__all__ = ["TEXT", "save_base", "save_head"]

TEXT = "Query: {query} Passage: {passage} Answer:"


def save_base(folder: Path) -> Path:
    """A language model with room for a prompt and two passages."""
    return tiny.save(folder, tiny.llama(max_position_embeddings=256))


def save_head(folder: Path, base: Path, *, size: int = 32, layers: tuple[int, ...] = (1,)) -> Path:
    """Saves a head; ``size`` is the number of its weights."""
    folder.mkdir()
    numbers = np.random.default_rng(0).normal(size=size).astype(np.float32)
    save_file({"weight": numbers, "bias": np.array([0.5], dtype=np.float32)}, folder / WEIGHTS)
    config = HeadConfig(str(base), layers, TEXT, False, "float32", "unknown")
    (folder / CONFIG).write_text(format_config(config))
    return folder
