"""Writes the table of which model fits on which card into docs/engines.md; a calculation.

A model takes its weights, and for each token in flight the keys and values of all layers:
2 x layers x key-value heads x head dimension x bytes of a number. What a card has beside the
weights, less a tenth for the server's buffers, holds so many tokens.
"""

from pathlib import Path
from typing import NamedTuple

from benchmarks.tables import replace_part, table

__all__ = ["CARDS", "MODELS", "Shape", "free_tokens", "token_bytes", "weight_bytes"]

PAGE = Path("docs/engines.md")
WRITER = "benchmarks/gpu_memory.py"
# A number of 4 bits comes with a scale for each group of 32 to 128; embeddings stay at 16 bits.
BITS = {"16 bits": 16.0, "8 bits": 8.0, "4 bits": 4.5}
CARDS = {"16 GB": 16, "24 GB": 24, "48 GB": 48, "80 GB": 80, "141 GB": 141}
# vLLM's --gpu-memory-utilization, by default.
SHARE = 0.9
PROMPT = 1000


class Shape(NamedTuple):
    """Parameters in billions, and what the config.json of a model says of its attention."""

    billions: float
    layers: int
    kv_heads: int
    head_dim: int


MODELS = {
    "SmolLM2-135M": Shape(0.1345, 30, 3, 64),
    "Qwen3-0.6B": Shape(0.6, 28, 8, 128),
    "Qwen3-1.7B": Shape(1.7, 28, 8, 128),
    "Qwen3-4B": Shape(4.0, 36, 8, 128),
    "Qwen3-8B": Shape(8.2, 36, 8, 128),
    "Llama-3.1-8B": Shape(8.0, 32, 8, 128),
    "Qwen3-14B": Shape(14.8, 40, 8, 128),
    "Qwen3-30B-A3B": Shape(30.5, 48, 4, 128),
    "Qwen3-32B": Shape(32.8, 64, 8, 128),
    "Llama-3.3-70B": Shape(70.6, 80, 8, 128),
}


def weight_bytes(shape: Shape, bits: float) -> float:
    """The bytes of a model's weights at so many bits a parameter."""
    return shape.billions * 1e9 * bits / 8


def token_bytes(shape: Shape, number: int = 2) -> int:
    """The bytes of a token's keys and values, each of ``number`` bytes."""
    return 2 * shape.layers * shape.kv_heads * shape.head_dim * number


def free_tokens(shape: Shape, bits: float, gigabytes: float, share: float = SHARE) -> int:
    """How many tokens fit beside the weights on a card; 0 where the weights do not fit."""
    left = gigabytes * 1e9 * share - weight_bytes(shape, bits)
    return max(0, int(left // token_bytes(shape)))


def report() -> str:
    """The table: for each model, weights, a token's bytes, and prompts at a time by card."""
    rows = []
    for name, shape in MODELS.items():
        sizes = " / ".join(f"{weight_bytes(shape, bits) / 1e9:.1f}" for bits in BITS.values())
        fits = [_fits(shape, gigabytes) for gigabytes in CARDS.values()]
        rows.append([name, sizes, f"{token_bytes(shape) / 1024:.0f}", *fits])
    columns = ["model", f"weights at {' / '.join(BITS)}, GB", "KiB a token", *CARDS]
    return f"""\
{table(columns, rows)}

The numbers under a card are prompts of {PROMPT:,} tokens that it holds at a time, with keys and
values of 16 bits, at the widest of the weights' formats with which it holds at least one; where
that is not 16 bits, it is named. Calculated by `python -m benchmarks.gpu_memory`.
"""


def _fits(shape: Shape, gigabytes: float) -> str:
    for name, bits in BITS.items():
        prompts = free_tokens(shape, bits, gigabytes) // PROMPT
        if prompts:
            return f"{prompts:,}" + (f" ({name})" if bits < max(BITS.values()) else "")
    return "no"


if __name__ == "__main__":
    print(report())
    replace_part(PAGE, WRITER, report())
