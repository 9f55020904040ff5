"""Small models of every architecture, requests to them, and the same models without our code."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from rankprompt.llm.base import Request
from rankprompt.llm.local import model
from rankprompt.llm.local.model import LocalModel
from tests.llm import tiny

# No token of these prompts and options is merged with its neighbour over the bound.
PROMPTS = [
    "Which passage is more relevant? Answer:",
    "A",
    "The passage about the harbour is more relevant than the passage about the mill. " * 2,
    "哪个段落更相关？",
    "An old mill stands above the river",
]
OPTIONS = [
    (" A", " B"),
    (" Passage A", " Passage B", " A"),
    (" The harbour is quiet", " an old mill", " 😀", " The harbour"),
    (" B",),
    (" yes", " no"),
]
SCORED = [Request(prompt, options) for prompt in PROMPTS for options in OPTIONS]
WRITTEN = [Request(prompt, max_tokens=9) for prompt in PROMPTS]

MODELS: dict[str, tuple[Callable[[], Any], bool]] = {
    "llama": (tiny.llama, False),
    "tied": (lambda: tiny.llama(tie_word_embeddings=True), False),
    "gpt2": (tiny.gpt2, False),
    "t5": (tiny.t5, True),
}


def load(folder: Path, **how: Any) -> LocalModel:
    return model.load(str(folder), **{"dtype": "float32", "device": "cpu", **how})


def plain(folder: Path) -> Any:
    """The model as transformers loads it, without any of our code."""
    make, _ = MODELS[folder.name]
    return type(make()).from_pretrained(folder, dtype=torch.float32).eval()


def ids(text: str) -> list[int]:
    found: list[int] = tiny.tokenizer()(text).input_ids
    return found
