"""LoRA adapters in PEFT's form, put onto a loaded model."""

import json
import warnings
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from rankprompt.errors import ModelError, naming_extras, require
from rankprompt.files.home import expand
from rankprompt.llm.adapter_folders import CONFIG, find_adapted
from rankprompt.llm.local.hub_folders import adapter_folder
from rankprompt.llm.local.model_files import first_line

__all__ = ["check_no_adapter", "find_adapter", "with_adapter"]


def find_adapter(name: str) -> Path:
    """Returns the folder of an adapter, which the hub is asked for if need be.

    Args:
        name: a folder, or a hub id.

    Raises:
        ModelError: there is none, or it is no LoRA adapter of a language model.
    """
    path = expand(name)
    if not path.is_dir() and (path.exists() or path.is_absolute() or name.startswith((".", "~"))):
        raise ModelError(f"`adapter` {name}: no such folder")
    folder = path if path.is_dir() else adapter_folder(name)
    try:
        settings = json.loads((folder / CONFIG).read_text("utf-8"))
        kind, task = settings["peft_type"], settings.get("task_type")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(
            f"`adapter` {name}: expected a folder of PEFT, with an {CONFIG} ({first_line(error)})"
        ) from error
    if kind != "LORA" or task == "SEQ_CLS":
        raise ModelError(
            f"`adapter` {name} is of PEFT's type {kind}{f' for {task}' if task else ''}; only LORA "
            "of a language model can be used"
        )
    return folder


def check_no_adapter(name: str) -> None:
    """Refuses a folder that holds an adapter alone, where only a whole model will do.

    ``load_model`` takes such a folder, and calls a back end with the base model and the adapter.

    Raises:
        ModelError: it does; the message names the base model, if the adapter does.
    """
    if adapted := find_adapted(name):
        base = adapted.base or "the model that it was trained with"
        raise ModelError(f"{name} holds an adapter alone, and this takes a whole model, as {base}")


def with_adapter(
    model: PreTrainedModel, name: str, folder: Path, *, merge: bool = True
) -> PreTrainedModel:
    """Puts an adapter onto a model, in place.

    Args:
        model: in evaluation mode, on its device.
        name: the adapter's, for messages.
        folder: as ``find_adapter`` returns it.
        merge: add the adapter to the weights, which costs nothing at each prompt but rounds once
            more; weights of 4 or 8 bits would lose most of it, so there it stays beside them.

    Raises:
        ModelError: it does not fit the model: it was trained with another one.
        MissingPackageError: peft is not installed.
    """
    require("peft")
    with naming_extras():
        from peft import PeftConfig, PeftModel

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of PEFT's own use of transformers
            config = PeftConfig.from_pretrained(str(folder))
            wrapped: Any = PeftModel(model, config, autocast_adapter_dtype=False)
            found = wrapped.load_adapter(
                str(folder), "default", torch_device=str(model.device), autocast_adapter_dtype=False
            )
        # Without its weights an adapter changes nothing, which nobody would notice.
        if lost := [*found.missing_keys, *found.unexpected_keys]:
            raise ValueError(f"{lost[0]} has no counterpart")
        adapted: PreTrainedModel = wrapped.merge_and_unload(safe_merge=True) if merge else model
        adapted.eval()
        return adapted
    except Exception as error:  # of torch, of safetensors, of whatever PEFT checks
        raise ModelError(
            f"`adapter` {name} does not fit the model, was it trained with another one? "
            f"{first_line(error)}"
        ) from error
