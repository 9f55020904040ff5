"""What the files of a model tell before vLLM's engine is started.

A run whose journal has all answers needs no engine, which takes a minute to start. So the
fingerprint, the number format and the context length are read from the files.
"""

import json
import os
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

from rankprompt.errors import InputError, ModelError
from rankprompt.llm.local.hub_folders import hub_folder
from rankprompt.llm.local.model_files import check_config, first_line, locate
from rankprompt.llm.model_folders import read_settings

__all__ = [
    "LORA_RANKS",
    "ModelFolder",
    "digest_folder",
    "find_folder",
    "lora_rank",
]

_WEIGHTS = {".bin", ".pt", ".safetensors"}
_SETTINGS = {".jinja", ".json", ".model", ".txt"}
_SAMPLES, _SAMPLE_BYTES = 1024, 4096
# Prompts are far shorter than what many models can read, and vLLM keeps room for one of full
# length.
_LONGEST = 32_768
LORA_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""The ranks that vLLM keeps room for."""


class ModelFolder:
    """A folder with a decoder-only language model.

    Args:
        path: the folder.
        name: the name that the user gave, for messages.

    Raises:
        ModelError: it holds no such model, or its settings cannot be read.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        if not (path / "config.json").is_file():
            raise ModelError(f"cannot load the model {name!r}: {path} has no config.json")
        try:
            check_config(str(path))
        except Exception as error:  # a damaged file makes transformers raise all kinds
            raise ModelError(f"cannot load the model {name!r}: {first_line(error)}") from error
        self._config = read_settings(path / "config.json")
        text: Any = self._config.get("text_config")
        self._text = {**self._config, **(text if isinstance(text, dict) else {})}
        architectures = self._config.get("architectures")
        if any(
            str(one).endswith("ForSequenceClassification")
            for one in (architectures if isinstance(architectures, list) else [])
        ):
            raise ModelError(
                f"cannot load the model {name!r}: it is a classifier; as a reranker it is written "
                f"cross-encoder:{name}"
            )
        if self._config.get("is_encoder_decoder"):
            raise ModelError(
                f"vLLM runs no encoder-decoder such as {name}; name it without `vllm:`, and it is "
                "run by transformers"
            )

    def dtype(self, asked: str) -> str:
        """The number format: the one that is asked for, or with "auto" that of the weights.

        As vLLM does, it takes bfloat16 for weights in float32.
        """
        if asked != "auto":
            return asked
        own = str(self._text.get("dtype") or self._text.get("torch_dtype")).removeprefix("torch.")
        return own if own in ("bfloat16", "float16") else "bfloat16"

    def context_length(self, tokenizer_limit: object, asked: object = None) -> int:
        """The most tokens of prompt and answer together.

        Args:
            tokenizer_limit: the tokenizer's ``model_max_length``.
            asked: the engine's option ``max_model_len``, if it is a number.
        """
        if isinstance(asked, int) and asked > 0:
            return asked
        limits = [self._text.get(name) for name in ("max_position_embeddings", "n_positions")]
        limits.append(tokenizer_limit)
        known = [limit for limit in limits if isinstance(limit, int) and limit > 0]
        return min([*known, _LONGEST])

    def end_tokens(self, tokenizer_end: int | None) -> list[int]:
        """The tokens that end a text: the generation settings' own, as in transformers."""
        generation = self.path / "generation_config.json"
        own = read_settings(generation) if generation.is_file() else self._text
        ends = own.get("eos_token_id", tokenizer_end)
        found = ends if isinstance(ends, list) else [ends]
        return [token for token in found if isinstance(token, int)] or [
            token for token in [tokenizer_end] if token is not None
        ]

    @property
    def has_plain_head(self) -> bool:
        """Whether the output embeddings are not quantised, so that they may be float32.

        AWQ and FP8 quantise only the layers between; the settings of others say it.
        """
        settings: Any = self._text.get("quantization_config")
        if not isinstance(settings, Mapping):
            return True
        kind = str(settings.get("quant_method"))
        if kind in ("awq", "fp8"):
            return True
        if kind == "gptq":
            return not settings.get("lm_head")
        return "lm_head" in (settings.get("ignore") or ())


def find_folder(name: str, *, code: bool = False, revision: str | None = None) -> Path:
    """Returns the folder of a model, downloaded where ``name`` is a hub id.

    Args:
        name: a folder or a hub id.
        code: whether to download the code that comes with the model.
        revision: a branch, tag or commit of a hub model; None for the main branch.

    Raises:
        ModelError: there is no such model, or it is a GGUF file.
        InputError: a folder has no revisions.
    """
    source, gguf = locate(name)
    if gguf:
        raise ModelError(f"vLLM reads folders and hub ids; name {name} without `vllm:`")
    if not Path(source).is_dir():
        return hub_folder(name, code=code, revision=revision)
    if revision:
        raise InputError(f"`revision` goes with a model of the hub, and {name} is a folder")
    return Path(source)


def digest_folder(folder: Path) -> str:
    """Digests the files of a model or an adapter.

    Settings and tokenizer count whole. Of the weights count the names, the sizes, and 4 MB spread
    over each file: reading a large model whole would take minutes, and training changes all of it.

    Raises:
        ModelError: a file cannot be read.
    """
    state = blake2b(digest_size=16)
    try:
        for path in sorted(folder.iterdir()):
            if path.suffix not in _WEIGHTS | _SETTINGS or path.name.startswith("."):
                continue
            size = path.stat().st_size
            state.update(json.dumps([path.name, size]).encode())
            with path.open("rb") as file:
                if path.suffix in _SETTINGS or size <= _SAMPLES * _SAMPLE_BYTES:
                    while block := file.read(1 << 20):
                        state.update(block)
                    continue
                for sample in range(_SAMPLES):
                    place = (size - _SAMPLE_BYTES) * sample // (_SAMPLES - 1)
                    file.seek(place, os.SEEK_SET)
                    state.update(file.read(_SAMPLE_BYTES))
    except OSError as error:
        raise ModelError(f"cannot read {error.filename}: {error.strerror or error}") from error
    return state.hexdigest()


def lora_rank(adapter: Path) -> int:
    """Returns the rank that vLLM keeps room for, for the folder of a LoRA adapter.

    Raises:
        ModelError: its rank is too high, or missing.
    """
    settings = read_settings(adapter / "adapter_config.json")
    patterns = settings.get("rank_pattern")
    ranks = [settings.get("r"), *(patterns.values() if isinstance(patterns, dict) else ())]
    highest = max((rank for rank in ranks if isinstance(rank, int)), default=0)
    for rank in LORA_RANKS:
        if 0 < highest <= rank:
            return rank
    raise ModelError(
        f"`adapter` {adapter}: vLLM takes ranks up to {LORA_RANKS[-1]}, and this has {highest}"
    )
