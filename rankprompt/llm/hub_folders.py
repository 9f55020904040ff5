"""Models of the Hugging Face hub as folders: downloaded, or out of the hub's local cache."""

from pathlib import Path

from rankprompt.errors import PIP_LINES, ModelError
from rankprompt.llm.local.model_files import first_line

__all__ = ["hub_folder"]

_SETTINGS = ["*.json", "*.txt", "*.model"]
_ELSEWHERE = ["onnx/*", "openvino/*", "original/*"]
# Weights, best first; what torch pickles is read by transformers, without running code in it.
_WEIGHTS = (["*.safetensors"], ["pytorch_model*.bin"], ["model.onnx", "model.onnx_data"],
            ["onnx/model.onnx", "onnx/model.onnx_data"])  # fmt: skip


def hub_folder(name: str, *, code: bool = False) -> Path:
    """Returns the folder with a hub model's files.

    Args:
        name: The hub id, such as ``org/model``.
        code: Whether to download the code that comes with it.

    Raises:
        ModelError: There is no such model, it needs a token, or the hub cannot be reached and its
            local cache lacks the model.
    """
    try:
        from huggingface_hub import errors, snapshot_download
        from huggingface_hub.utils.tqdm import disable_progress_bars
    except ModuleNotFoundError:
        line = PIP_LINES.get("local", "pip install 'rankprompt[local]'")
        raise ModelError(f"model {name!r}: models of the hub need: {line}") from None
    disable_progress_bars()
    settings = [*_SETTINGS, *(["*.py"] if code else [])]
    try:
        for weights in _WEIGHTS:
            inside = weights[0].startswith("onnx/")
            folder = Path(
                snapshot_download(
                    name,
                    allow_patterns=[*settings, *weights],
                    ignore_patterns=None if inside else _ELSEWHERE,
                )
            )
            if any(any(folder.glob(pattern)) for pattern in weights):
                return folder
    except errors.HFValidationError:
        problem = "no such folder, and no name that the hub could have"
    except errors.GatedRepoError:
        problem = "its makers give it only to those who ask: accept its terms, and set HF_TOKEN"
    except errors.RepositoryNotFoundError:
        problem = "no such folder, and the hub has no such model (or not without HF_TOKEN)"
    except errors.LocalEntryNotFoundError:
        problem = "no such folder, and the hub cannot be reached; its local cache lacks the model"
    except Exception as error:  # of the network, of the disk
        problem = f"the hub cannot be reached: {first_line(error)}"
    else:
        problem = "the hub has no weights of it that can be read (safetensors, bin or ONNX)"
    raise ModelError(f"model {name!r}: {problem}")
