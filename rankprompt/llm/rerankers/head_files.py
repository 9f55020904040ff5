"""The folder of a head: a linear layer on hidden states of a language model that stays as it is.

``head.safetensors`` holds a weight for each number of the states, and ``head.json`` says which ones
of which model, after which prompt. Imports nothing heavy.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rankprompt.errors import InputError, ModelError
from rankprompt.files.home import expand
from rankprompt.files.json_schema import read_as
from rankprompt.prompts.template import Template, parse_template

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["CONFIG", "WEIGHTS", "HeadConfig", "format_config", "is_head", "read_head"]

CONFIG, WEIGHTS = "head.json", "head.safetensors"
_FORM = "rankprompt head 2"


@dataclass(frozen=True)
class HeadConfig:
    """What a head stands on.

    Attributes:
        model: the language model: ``smollm2-135m``, a folder, a ``.gguf`` file or a hub id.
        layers: the layers whose outputs are read, counted from 1.
        text: the template of what the model reads, with the slots query and passage.
        chat: whether the text goes into the model's chat template, where it has one.
        dtype: the number format in which the head was trained.
        fingerprint: the model's, in this number format.
        form: the form of the folder.
    """

    model: str
    layers: tuple[int, ...]
    text: str
    chat: bool
    dtype: str
    fingerprint: str
    form: str = _FORM

    @property
    def template(self) -> Template:
        """The template; raises ValueError where it is none, or shows something else."""
        template = parse_template(self.text)
        if template.slots != {"query", "passage"}:
            raise ValueError("`text` must show {query} and {passage}")
        return template


@dataclass(frozen=True)
class _Form:
    form: str


def is_head(name: str) -> bool:
    """Whether a name is that of a folder with a head."""
    return (expand(name) / CONFIG).is_file()


def format_config(config: HeadConfig) -> str:
    """The content of ``head.json``."""
    return json.dumps(asdict(config), indent=2, ensure_ascii=False) + "\n"


def read_head(folder: Path) -> "tuple[HeadConfig, npt.NDArray[np.float32], float]":
    """Reads a head.

    Returns:
        The configuration, the weights, shape (layers times hidden size,), layer by
        layer, and the bias.

    Raises:
        ModelError: the folder is of another form, or damaged.
    """
    import numpy as np
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        form = read_as(_Form, folder / CONFIG).form
        if form != _FORM:
            raise ValueError(f"it is of the form {form!r}, and this version reads {_FORM!r}")
        config = read_as(HeadConfig, folder / CONFIG)
        _ = config.template
        if not config.layers:
            raise ValueError("`layers` is empty")
        tensors = load_file(folder / WEIGHTS)
        weight, bias = tensors["weight"], tensors["bias"]
        if weight.ndim != 1 or bias.shape != (1,):
            raise ValueError(f"{WEIGHTS} holds no weight and bias of a single score")
        if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
            raise ValueError(f"{WEIGHTS} holds numbers that are not finite")
    except (InputError, OSError, ValueError, KeyError, SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"{folder} holds no head that can be read: {reason}") from error
    return config, weight.astype(np.float32), float(bias[0])
