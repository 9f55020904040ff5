"""Copies a GGUF file in other number formats, and gives a torch model the rounding of ggml.

If a weight is quantised, ggml also rounds the activations: blocks of 32 numbers to 8 bits, and
their scale to float16 (Q8_0). The blocks of a Q4_1 weight have a minimum, which is multiplied by
the block's sum, rounded to float16 (Q8_1).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch

# Names of the llama architecture: GGUF's, and those of transformers.
PRODUCTS = {
    "attn_q": "q_proj",
    "attn_k": "k_proj",
    "attn_v": "v_proj",
    "attn_output": "o_proj",
    "ffn_gate": "gate_proj",
    "ffn_up": "up_proj",
    "ffn_down": "down_proj",
    "token_embd": "lm_head",
}


def copy_gguf(
    source: Path,
    target: Path,
    *,
    quantised: Callable[[str], bool] | None = None,
    blocks: int | None = None,
) -> None:
    """Writes a GGUF file with some tensors de-quantised to float32.

    Args:
        source: a GGUF file.
        target: where the copy goes.
        quantised: whether the tensor of this name stays as it is; None for none.
        blocks: how many of the first transformer blocks to keep; None for all.
    """
    reader = gguf.GGUFReader(source)
    architecture = str(reader.fields["general.architecture"].contents())
    writer = gguf.GGUFWriter(target, architecture)
    changed: dict[str, Any] = {"general.file_type": int(gguf.LlamaFileType.ALL_F32)}
    if blocks is not None:
        changed[f"{architecture}.block_count"] = blocks
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name == "general.architecture":
            continue  # the writer's own
        of_array = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
        value = changed.get(field.name, field.contents())
        writer.add_key_value(field.name, value, field.types[0], of_array)
    for tensor in reader.tensors:
        parts = tensor.name.split(".")
        if blocks is not None and parts[0] == "blk" and int(parts[1]) >= blocks:
            continue
        if quantised and quantised(tensor.name):
            writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
        else:
            plain = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
            writer.add_tensor(tensor.name, plain)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def round_as_ggml(model: Any, path: Path) -> None:
    """Makes a model's products round their activations, as ggml does.

    Args:
        model: of transformers, with the file's weights de-quantised.
        path: a GGUF file; products with its float32 tensors stay as they are.
    """
    heads = {
        "attn_q": model.config.num_attention_heads,
        "attn_k": model.config.num_key_value_heads,
    }
    for tensor in gguf.GGUFReader(path).tensors:
        kind = tensor.name.split(".")[-2]
        if kind not in PRODUCTS or tensor.tensor_type == gguf.GGMLQuantizationType.F32:
            continue
        layers = [layer for name, layer in model.named_modules() if name.endswith(PRODUCTS[kind])]
        block = int(tensor.name.split(".")[1]) if tensor.name.startswith("blk.") else 0
        minima = None
        if tensor.tensor_type == gguf.GGMLQuantizationType.Q4_1:
            minima = _minima(tensor)
            if kind in heads:
                # transformers has each head's even rows before its odd ones.
                pairs = minima.reshape(heads[kind], -1, 2, minima.shape[1])
                minima = pairs.swapaxes(1, 2).reshape(minima.shape)
        layers[block].register_forward_hook(_rounding(minima))


def _minima(tensor: Any) -> np.ndarray:
    """Returns the minimum of each Q4_1 block: bytes 2 and 3 of its 20."""
    blocks = np.asarray(tensor.data).reshape(tensor.data.shape[0], -1, 20)
    return np.ascontiguousarray(blocks[:, :, 2:4]).view(np.float16)[..., 0].astype(np.float32)


def _rounding(minima: np.ndarray | None) -> Callable[..., torch.Tensor]:
    of_blocks = None if minima is None else torch.from_numpy(np.ascontiguousarray(minima))

    def hook(module: Any, inputs: tuple[torch.Tensor], _: torch.Tensor) -> torch.Tensor:
        blocks = inputs[0].reshape(*inputs[0].shape[:-1], -1, 32)
        scale = blocks.abs().amax(-1, keepdim=True) / 127
        whole = torch.where(scale > 0, blocks / scale, 0).round()
        rounded = scale.half().float()
        product = torch.nn.functional.linear((whole * rounded).flatten(-2), module.weight)
        if of_blocks is not None:
            sums = whole.sum(-1, keepdim=True)
            moved = ((sums * scale).half().float() - sums * rounded)[..., 0]
            product += torch.nn.functional.linear(moved, of_blocks)
        return product

    return hook
