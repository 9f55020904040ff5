"""Models of the Hugging Face hub: downloaded, or out of the hub's local cache."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from rankprompt.errors import PIP_LINES, ModelError
from rankprompt.llm.local.model_files import first_line

__all__ = ["adapter_folder", "cached_folder", "hub_folder", "hub_options", "hub_tensors"]

T = TypeVar("T")

_SETTINGS = ["*.json", "*.txt", "*.model"]
_ELSEWHERE = ["onnx/*", "openvino/*", "original/*"]
# Weights, best first; what torch pickles is read by transformers, without running code in it.
_WEIGHTS = (["*.safetensors"], ["pytorch_model*.bin"], ["model.onnx", "model.onnx_data"],
            ["onnx/model.onnx", "onnx/model.onnx_data"])  # fmt: skip
_UNREACHABLE = "no such folder, and the hub cannot be reached; its local cache lacks the model"
_SECONDS = 10.0


def hub_folder(name: str, *, code: bool = False, revision: str | None = None) -> Path:
    """Returns the folder with a hub model's files.

    Args:
        name: The hub id, such as ``org/model``.
        code: Whether to download the code that comes with it.
        revision: A branch, tag or commit; None for the main branch.

    Raises:
        ModelError: There is no such model, it needs a token, or the hub cannot be reached and its
            local cache lacks the model.
    """
    _require_hub(name)
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    settings = [*_SETTINGS, *(["*.py"] if code else [])]

    def download() -> Path | None:
        for weights in _WEIGHTS:
            inside = weights[0].startswith("onnx/")
            folder = Path(
                snapshot_download(
                    name,
                    revision=revision,
                    allow_patterns=[*settings, *weights],
                    ignore_patterns=None if inside else _ELSEWHERE,
                )
            )
            if any(any(folder.glob(pattern)) for pattern in weights):
                return folder
        return None

    folder = _asked(name, download)
    if folder is None:
        raise ModelError(
            f"model {name!r}: the hub has no weights of it that can be read (safetensors, bin or "
            "ONNX)"
        )
    return folder


def adapter_folder(name: str) -> Path:
    """Returns the folder with an adapter of the hub; raises ModelError as ``hub_folder``."""
    _require_hub(name)
    from huggingface_hub import snapshot_download

    return _asked(name, lambda: Path(snapshot_download(name, allow_patterns=["adapter_*"])))


def cached_folder(
    name: str, *, revision: str | None = None, file: str = "config.json"
) -> Path | None:
    """The folder of the commit of a hub model that was downloaded last; asks no server.

    Args:
        name: The hub id, such as ``org/model``.
        revision: A branch, tag or commit; None for the main branch.
        file: One of its files.
    """
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(name, file, revision=revision)
    return Path(path).parent if isinstance(path, str) else None


def hub_options(name: str, revision: str | None = None) -> dict[str, Any]:
    """Asks the hub once for a model, whose files transformers would ask for again and again.

    Args:
        name: The hub id, such as ``org/model``.
        revision: A branch, tag or commit; None for the main branch.

    Returns:
        Further arguments of ``from_pretrained``: the revision, and where the hub cannot be reached,
        that it is to read the local cache alone.

    Raises:
        ModelError: As ``hub_folder``.
    """
    _require_hub(name)
    from huggingface_hub import HfApi, constants, errors

    given = {"revision": revision} if revision else {}

    def is_cached() -> bool:
        if revision:
            return cached_folder(name, revision=revision) is not None
        folder = Path(constants.HF_HUB_CACHE, f"models--{name.replace('/', '--')}", "snapshots")
        return any(folder.glob("*/*"))

    def ask() -> bool:
        try:
            HfApi().model_info(name, revision=revision, timeout=_SECONDS)
        except (errors.HFValidationError, errors.GatedRepoError, errors.RepositoryNotFoundError,
                errors.RevisionNotFoundError):  # fmt: skip
            if is_cached():
                return False
            raise
        except Exception:  # of the network, or of a hub that is down
            return False
        return True

    if _asked(name, ask):
        return given
    if not is_cached():
        raise ModelError(f"model {name!r}: {_UNREACHABLE}")
    return {**given, "local_files_only": True}


def hub_tensors(name: str, revision: str | None = None) -> list[tuple[str, str, tuple[int, ...]]]:
    """Asks the hub for the name, format and shape of each tensor of a model's safetensors files.

    Empty where it does not say, or cannot be reached.
    """
    from huggingface_hub import HfApi

    try:
        files = HfApi().get_safetensors_metadata(name, revision=revision).files_metadata
    except Exception:  # of the network, of a model without such files: transformers reports it
        return []
    return [
        (tensor, about.dtype, tuple(about.shape))
        for file in files.values()
        for tensor, about in file.tensors.items()
    ]


def _require_hub(name: str) -> None:
    if find_spec("huggingface_hub") is None:
        line = PIP_LINES.get("local", "pip install 'rankprompt[local]'")
        raise ModelError(f"model {name!r}: models of the hub need: {line}")


def _asked(name: str, ask: Callable[[], T]) -> T:
    """Returns what the hub answers; its errors in one line."""
    from huggingface_hub import errors

    try:
        return ask()
    except errors.HFValidationError:
        problem = "no such folder, and no name that the hub could have"
    except errors.GatedRepoError:
        problem = "its makers give it only to those who ask: accept its terms, and set HF_TOKEN"
    except errors.RepositoryNotFoundError:
        problem = "no such folder, and the hub has no such model (or not without HF_TOKEN)"
    except errors.RevisionNotFoundError:
        problem = "the hub has no such `revision` of it"
    except errors.LocalEntryNotFoundError:
        problem = _UNREACHABLE
    except Exception as error:  # of the network, of the disk
        problem = f"the hub cannot be reached: {first_line(error)}"
    raise ModelError(f"model {name!r}: {problem}")
