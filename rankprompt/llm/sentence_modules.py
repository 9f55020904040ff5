"""Classifiers in the modular folders of sentence-transformers, described by ``modules.json``.

Such a folder has a transformer, and after it a folder for each further module: a pooling, linear
layers ("Dense") and normalisations ("LayerNorm"), the last of which gives the score. Ettin's
rerankers are written so. The formats are those that sentence-transformers 6.2 writes; nothing of it
is imported. A folder whose only module is the transformer is an ordinary classifier.
"""

from pathlib import Path
from typing import Any, NamedTuple

from rankprompt.errors import ModelError
from rankprompt.llm.model_folders import read_list, read_settings

__all__ = [
    "ACTIVATIONS",
    "POOLINGS",
    "HeadModule",
    "head_modules",
    "is_modular",
    "module_files",
    "pooling_mode",
]

POOLINGS = ("cls", "mean", "lasttoken")
ACTIVATIONS = ("Identity", "Tanh", "GELU", "ReLU", "SiLU", "Sigmoid")
_KINDS = ("Pooling", "Dense", "LayerNorm")
_WEIGHTS = "model.safetensors"


class HeadModule(NamedTuple):
    """A module after the transformer.

    Attributes:
        kind: "Pooling", "Dense" or "LayerNorm".
        weights: Its file; a pooling has none.
        settings: Its configuration.
    """

    kind: str
    weights: Path
    settings: dict[str, Any]


def is_modular(folder: Path) -> bool:
    """Whether a folder calls itself a cross-encoder of sentence-transformers."""
    settings = read_settings(folder / "config_sentence_transformers.json")
    return settings.get("model_type") == "CrossEncoder"


def head_modules(folder: Path) -> list[HeadModule]:
    """Returns the modules after the transformer; none for an ordinary classifier.

    Raises:
        ModelError: A module, or a setting of one, is not understood.
    """
    entries = read_list(folder / "modules.json")
    modules = []
    for number, entry in enumerate(entries):
        if not isinstance(entry, dict) or not isinstance(entry.get("path"), str):
            raise ModelError(f"{folder / 'modules.json'}: expected objects with a path")
        kind, path = str(entry.get("type")).rpartition(".")[2], entry["path"]
        if number == 0:
            if kind != "Transformer" or path not in ("", "."):
                raise ModelError(f"{folder}: the first module is {kind}, expected a Transformer")
            continue
        if kind == "LogitScore":
            raise ModelError(
                f"{folder} is a language model that is scored by a word: leave the prefix "
                "cross-encoder: out and name its `prompt`, such as qwen3-reranker"
            )
        inside = (folder / path).resolve()
        if kind not in _KINDS or folder.resolve() not in inside.parents:
            raise ModelError(f"{folder}: the module {kind} at {path!r} is not understood")
        settings = read_settings(inside / "config.json")
        modules.append(HeadModule(kind, folder / path / _WEIGHTS, settings))
    if modules:
        _check(folder, modules)
    return modules


def module_files(folder: Path) -> list[Path]:
    """Returns the files of the modules after the transformer; raises as ``head_modules``."""
    return [
        path
        for module in head_modules(folder)
        for path in (module.weights.with_name("config.json"), module.weights)
        if path.is_file()
    ]


def pooling_mode(settings: dict[str, Any]) -> str:
    """Returns a pooling's mode as it is written now, or until version 5."""
    mode = settings.get("pooling_mode")
    if isinstance(mode, list) and len(mode) == 1:
        mode = mode[0]
    older = {"cls": "cls_token", "mean": "mean_tokens", "lasttoken": "lasttoken"}
    chosen = [name for name, key in older.items() if settings.get(f"pooling_mode_{key}") is True]
    return str(mode or "+".join(chosen))


def _check(folder: Path, modules: list[HeadModule]) -> None:
    first, *others = modules
    if first.kind != "Pooling" or any(module.kind == "Pooling" for module in others):
        raise ModelError(f"{folder}: expected a pooling after the transformer, and no other")
    if pooling_mode(first.settings) not in POOLINGS:
        raise ModelError(
            f"{folder}: the pooling {pooling_mode(first.settings)!r} is not understood; "
            f"expected {', '.join(POOLINGS)}"
        )
    for module in others:
        settings = module.settings
        function = str(settings.get("activation_function", "torch.nn.Tanh"))
        if module.kind == "Dense" and (
            settings.get("use_residual")
            or not function.startswith("torch.nn.")
            or function.rpartition(".")[2] not in ACTIVATIONS
        ):
            raise ModelError(
                f"{module.weights.parent}: a residual connection or the activation {function} is "
                "not understood"
            )
        if not module.weights.is_file():
            raise ModelError(f"{module.weights.parent}: expected a {_WEIGHTS}")
    last = others[-1] if others else first
    if last.kind != "Dense" or last.settings.get("out_features") not in (1, 2):
        raise ModelError(f"{folder}: expected a last layer with one output or two")
