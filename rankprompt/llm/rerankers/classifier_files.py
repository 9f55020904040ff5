"""What the files of a classifier say of its scores, before any weights are loaded."""

from pathlib import Path
from typing import Any

from rankprompt.errors import ModelError
from rankprompt.llm.model_folders import read_settings
from rankprompt.llm.sentence_modules import head_modules

__all__ = ["check_classifier", "is_classifier_config"]

_CLASSIFIER, _WRITERS = "ForSequenceClassification", ("ForCausalLM", "ForConditionalGeneration")
# What sentence-transformers puts after the logits. Each keeps their order; the first two are the
# rule, and the softmax is of two labels.
_ACTIVATIONS = ("Identity", "Sigmoid", "Tanh", "Softmax")
# Names of a first label of two by which it, and not the second, would mean relevant.
_RELEVANT = ("relevant", "true", "yes", "positive", "1")


def is_classifier_config(settings: dict[str, Any], *, modular: bool = False) -> bool:
    """Whether a ``config.json`` is that of a classifier.

    Args:
        settings: Its content.
        modular: Whether its folder is a cross-encoder of sentence-transformers, which may be a
            bare encoder with further modules.
    """
    names = settings.get("architectures")
    architectures = list(map(str, names)) if isinstance(names, list) else []
    if any(name.endswith(_CLASSIFIER) for name in architectures):
        return True
    return modular and not any(name.endswith(_WRITERS) for name in architectures)


def check_classifier(folder: Path, name: str) -> None:
    """Checks that a folder's classifier gives one score, or two of which the second is relevance.

    Args:
        folder: The model's folder. Where it has no ``config.json``, as some ONNX models, nothing is
            checked here: the shape of the network's output tells.
        name: The model's name in messages.

    Raises:
        ModelError: It has three labels or more, or its scores are made in a way that is not known.
    """
    config = read_settings(folder / "config.json")
    sentence = read_settings(folder / "config_sentence_transformers.json")
    transformer = read_settings(folder / "sentence_bert_config.json")
    if config and not head_modules(folder):
        _check_labels(config, name)
    older = config.get("sentence_transformers")
    activation = (
        sentence.get("activation_fn")
        or (older.get("activation_fn") if isinstance(older, dict) else None)
        or config.get("sbert_ce_default_activation_function")
        or "Identity"
    )
    if str(activation).rpartition(".")[2] not in _ACTIVATIONS:
        raise ModelError(
            f"{name} puts its scores through {activation}, which is not understood; expected one "
            f"of {', '.join(_ACTIVATIONS)}"
        )
    modes = transformer.get("modality_config")
    if sentence.get("default_prompt_name") or (isinstance(modes, dict) and "text" not in modes):
        raise ModelError(
            f"{name} reads its texts by a prompt or a chat template of its own, which is not "
            "understood; serve it (such as by vLLM) and name it rerank:MODEL"
        )


def _check_labels(config: dict[str, Any], name: str) -> None:
    labels = config.get("id2label")
    names = list(map(str, labels.values())) if isinstance(labels, dict) else []
    number = len(names) or config.get("num_labels", 2)  # transformers' default
    if number not in (1, 2):
        shown = f" ({', '.join(names[:4])}{', ...' if names[4:] else ''})" if names else ""
        raise ModelError(
            f"{name} has {number} labels{shown}; a cross-encoder has one label or two, of which "
            "the second means relevant"
        )
    if len(names) == 2 and names[0].lower() in _RELEVANT:
        raise ModelError(
            f"the first of {name}'s labels is {names[0]!r}; of two, the second must mean relevant"
        )
