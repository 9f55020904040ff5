"""Encoders and classifiers of transformers, and the modular heads of sentence-transformers."""

from collections.abc import Callable, Mapping
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from transformers import AutoModel, AutoModelForSequenceClassification, PreTrainedModel

from rankprompt.errors import ModelError, RankpromptError
from rankprompt.llm.local.loading import resolve_device, resolve_dtype
from rankprompt.llm.local.model_files import check_config, first_line, quieten_transformers
from rankprompt.llm.local.onednn_linear import prepack, trial_outputs
from rankprompt.llm.local.processor import use_threads
from rankprompt.llm.network_inputs import Forward, NetworkSettings, padded_inputs
from rankprompt.llm.sentence_modules import HeadModule, head_modules, pooling_mode

if TYPE_CHECKING:
    from tokenizers import Tokenizer


__all__ = ["open_classifier", "open_encoder", "reads_segments"]

_BATCH = 32
# The shorter of these is padded in a batch with the longer.
_TRIAL = (("a", "b"), ("a", "b c d e f g h"))


def open_encoder(path: Path, settings: NetworkSettings) -> tuple[Forward, int]:
    """Loads an encoder.

    Returns:
        The network, whose output is a vector for each token; and the texts of a batch.

    Raises:
        ModelError: It cannot be loaded.
    """
    try:
        model, _ = _load(AutoModel, path, settings)
        segments = getattr(model.config, "type_vocab_size", 0) > 1
        forward = _forward(model, lambda outputs, _: outputs[0], segments=segments)
        prepack(model, trial_outputs)
        # Many a setting that cannot work shows only where the model computes.
        ones = np.ones((2, 2), dtype=np.int64)
        forward({"input_ids": ones, "attention_mask": ones, "token_type_ids": ones - 1})
    except Exception as error:  # transformers raises many classes on a broken file
        raise _refusal("encoder", path, error) from error
    return forward, _BATCH


def open_classifier(
    path: Path, settings: NetworkSettings, tokenizer: "Tokenizer", pad: int, segments: bool
) -> tuple[Forward, int]:
    """Loads a classifier.

    Args:
        path: Its folder.
        settings: How it computes.
        tokenizer: Its tokenizer.
        pad: The padding token's id.
        segments: Whether its tokenizer gives segment ids.

    Returns:
        The network, whose output are the logits of each text; and the texts of a batch, which is 1
        where padding changes the logits.

    Raises:
        ModelError: It cannot be loaded, or its weights are missing, in part or all.
    """
    try:
        modules = head_modules(path)
        auto = AutoModel if modules else AutoModelForSequenceClassification
        model, missing = _load(auto, path, settings)
        # An encoder's pooler, which no head reads, is missing as a rule.
        missing = [key for key in missing if not (modules and key.startswith("pooler."))]
        if missing:
            raise ModelError(
                f"{str(path)!r} lacks weights of a classifier ({missing[0]}"
                f"{f' and {len(missing) - 1} more' if missing[1:] else ''}): is it a reranker? "
                "It would score at random"
            )
        head = _head(modules, model) if modules else None
        forward = _forward(model, head or (lambda outputs, _: outputs[0]), segments=segments)
        return forward, _trial(model, forward, tokenizer, pad)
    except RankpromptError:
        raise
    except Exception as error:  # transformers raises many classes on a broken file
        raise _refusal("classifier", path, error) from error


def _load(auto: Any, path: Path, settings: NetworkSettings) -> tuple[PreTrainedModel, list[str]]:
    """Loads a model in evaluation mode; returns it and the names of the weights it lacks."""
    quieten_transformers()
    device = resolve_device(settings.device)
    if device.type == "cpu":
        use_threads(settings.threads)
    dtype = torch.float32
    if settings.dtype != "auto":
        dtype = resolve_dtype(settings.dtype, device)
    check_config(str(path))
    model, report = auto.from_pretrained(
        str(path),
        dtype=dtype,
        trust_remote_code=settings.trust_remote_code,
        output_loading_info=True,
    )
    return model.to(device).eval(), sorted(report["missing_keys"])


def reads_segments(model: PreTrainedModel) -> bool:
    """Whether a model takes segment ids, and knows more than one segment."""
    takes = "token_type_ids" in signature(model.forward).parameters
    return takes and getattr(model.config, "type_vocab_size", 2) > 1


def _forward(
    model: PreTrainedModel, read: Callable[[Any, torch.Tensor], torch.Tensor], *, segments: bool
) -> Forward:
    names = ["input_ids", "attention_mask"]
    if segments and reads_segments(model):
        names.append("token_type_ids")

    def forward(inputs: Mapping[str, npt.NDArray[np.int64]]) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            tensors = {name: torch.from_numpy(inputs[name]).to(model.device) for name in names}
            output = read(model(**tensors), tensors["attention_mask"])
            found: npt.NDArray[np.float32] = output.float().cpu().numpy()
        return found

    return forward


def _trial(model: PreTrainedModel, forward: Forward, tokenizer: "Tokenizer", pad: int) -> int:
    """Runs two short texts; returns how many texts a batch may have."""
    short, long = (tokenizer.encode(*texts) for texts in _TRIAL)
    alone = padded_inputs([short], pad)

    def logits(model: PreTrainedModel) -> torch.Tensor:
        output: torch.Tensor = model(
            **{name: torch.from_numpy(alone[name]).to(model.device) for name in
               ("input_ids", "attention_mask")}
        )[0]  # fmt: skip
        return output

    expected = forward(alone)[0]
    prepack(model, logits)
    try:
        found = forward(padded_inputs([long, short], pad))[1]
    except ValueError:  # the model knows no padding
        return 1
    tolerance = 1e-3 if model.dtype == torch.float32 else 5e-2
    close = np.allclose(found, expected, rtol=tolerance, atol=tolerance)
    return _BATCH if close or not np.isfinite(expected).all() else 1


def _head(
    modules: list[HeadModule], model: PreTrainedModel
) -> Callable[[Any, torch.Tensor], torch.Tensor]:
    """Returns a function of an encoder's outputs and their mask (texts, tokens)."""
    from safetensors.torch import load_file

    pooling, *others = modules
    mode = pooling_mode(pooling.settings)
    layers = nn.Sequential()
    for module in others:
        weights = load_file(module.weights)
        if module.kind == "LayerNorm":
            norm = nn.LayerNorm(module.settings["dimension"])
            norm.load_state_dict(_below("norm", weights))
            layers.append(norm)
            continue
        linear = nn.Linear(
            module.settings["in_features"],
            module.settings["out_features"],
            bias=module.settings.get("bias", True),
        )
        linear.load_state_dict(_below("linear", weights))
        function = module.settings.get("activation_function", "torch.nn.Tanh")
        layers.extend([linear, getattr(nn, function.rpartition(".")[2])()])
    layers = layers.to(model.device).eval()

    def read(outputs: Any, mask: torch.Tensor) -> torch.Tensor:
        states = outputs[0].float()  # the head computes in float32
        if mode == "cls":
            pooled = states[:, 0]
        elif mode == "lasttoken":
            pooled = states[torch.arange(len(states), device=states.device), mask.sum(1) - 1]
        else:
            weight = mask[:, :, None].to(states.dtype)
            pooled = (states * weight).sum(1) / weight.sum(1).clamp(min=1e-9)
        scores: torch.Tensor = layers(pooled)
        return scores

    return read


def _below(name: str, weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key.removeprefix(f"{name}."): value.float() for key, value in weights.items()}


def _refusal(kind: str, path: Path, error: Exception) -> ModelError:
    if "trust_remote_code" in str(error):
        return ModelError(
            f"the {kind} {str(path)!r} comes with code of its own; read that code, and if you "
            "trust it, allow it with `trust_remote_code`"
        )
    reason = first_line(error)
    if "ignore_mismatched_sizes" in reason:  # which refers to a report that is not shown
        reason = (
            "its weights have other shapes than its config.json says, such as by the number of its "
            "labels or layers' sizes"
        )
    return ModelError(f"cannot load the {kind} {str(path)!r}: {reason}")
