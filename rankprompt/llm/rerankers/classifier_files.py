"""What the files of a classifier say of its scores, before any weights are loaded."""

import re
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
# Words in the name of a label by which it means relevant, or the opposite.
_RELEVANT = re.compile("relevan(t|ce)|true|yes|pos(itive)?|entail(s|ed|ment)?|match(es)?")
_IRRELEVANT = re.compile(
    "no|not|non|none|neg(ative)?|false|irrelevan(t|ce)|contradict(s|ion)?"
    "|(no|not|non|un|in|dis|mis)-?(relevan(t|ce)|relat|match|entail|answer|help|use|support).*"
)


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
        ModelError: It is a language model, has three labels or more or two in reverse, or its
            scores are made in a way that is not known.
    """
    config = read_settings(folder / "config.json")
    sentence = read_settings(folder / "config_sentence_transformers.json")
    transformer = read_settings(folder / "sentence_bert_config.json")
    if config and not head_modules(folder):
        _check_architecture(config, name)
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


def _check_architecture(config: dict[str, Any], name: str) -> None:
    names = config.get("architectures")
    architectures = list(map(str, names)) if isinstance(names, list) else []
    writers = [one for one in architectures if one.endswith(_WRITERS)]
    if writers and len(writers) == len(architectures):
        raise ModelError(
            f"{name} is a language model ({writers[0]}), and no classifier; name it without "
            "cross-encoder:, and the `prompt` by which it was trained as a reranker, if it was"
        )


def _check_labels(config: dict[str, Any], name: str) -> None:
    labels = _labels(config, name)
    number = len(labels) or config.get("num_labels", 2)  # transformers' default
    if number not in (1, 2):
        shown = f" ({', '.join(labels[:4])}{', ...' if labels[4:] else ''})" if labels else ""
        raise ModelError(
            f"{name} has {number} labels{shown}; a cross-encoder has one label or two, of which "
            "the second means relevant"
        )
    if len(labels) == 2 and (_means(labels[0]) is True or _means(labels[1]) is False):
        raise ModelError(
            f"{name}'s labels are {labels[0]!r} and {labels[1]!r}, in this order (`id2label` in "
            "its config.json); of two, the second must mean relevant"
        )


def _labels(config: dict[str, Any], name: str) -> list[str]:
    """The names of the labels in the order of the logits; none where the file has none."""
    labels = config.get("id2label")
    if labels is None:
        return []
    try:
        return [str(labels[key]) for key in sorted(labels.keys(), key=int)]
    except (AttributeError, TypeError, ValueError):
        raise ModelError(
            f"{name}: `id2label` in its config.json must be an object from the numbers of the "
            'labels to their names, such as {"0": "irrelevant", "1": "relevant"}'
        ) from None


def _means(label: str) -> bool | None:
    """Whether a label's name means relevant (True) or the opposite (False); None if neither.

    A number says something only if it stands alone: LABEL_1 may well be the first of two.
    """
    words = [word for word in re.split(r"[\W_]+", label.lower()) if word]
    if words in (["0"], ["1"]):
        return words == ["1"]
    if any(map(_IRRELEVANT.fullmatch, words)):
        return False
    return True if any(map(_RELEVANT.fullmatch, words)) else None
