"""The arithmetic of a forward, and what this machine's own matrix product reaches."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Self

import torch

from rankprompt.llm.local.onednn_linear import lay_out

# A batch of the engine holds up to 4,096 tokens; from 1,024 on, the product is no faster.
ROWS = 1024
SQUARE = 2048


class FlopCounter(AbstractContextManager["FlopCounter"]):
    """Counts the arithmetic of a causal model's forwards, in floating point operations.

    A token costs 2 for each weight of the linear layers that it goes through, and in each layer
    4 x heads x size of a head for each position of its row, the queries' product with the keys and
    the weights' with the values (attention kernels take the whole rectangle, then mask). The head
    counts for the positions that were asked for, or one a row where an engine asked for all;
    padding counts for nothing. Norms, activations and rotations are left out: below 1% here.

    Args:
        model: a transformers model, decoder-only, whose linear layers are ``torch.nn.Linear``.

    Attributes:
        flops: of all forwards since.
        tokens: that went through, without padding.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        head, config = model.get_output_embeddings(), model.config.get_text_config()
        self._head: int = head.weight.numel()
        self._layers = sum(one.weight.numel() for one in linears(model))
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        self._attention: int = config.num_hidden_layers * config.num_attention_heads * size
        self.flops = self.tokens = 0

    @property
    def formula(self) -> str:
        """What is counted, in words and this model's numbers."""
        return f"""\
The FLOP of a forward are the sum of

- 2 x {self._layers:,} (the weights of its linear layers) x tokens,
- 2 x {self._head:,} (the weights of its head) x positions read,
- 4 x {self._attention:,} (layers x width of the attention) x the sum of each token's row length.

Padding, logits that nothing reads, norms, activations and rotations count for nothing. A row counts
whole for each of its tokens, as with torch's own `FlopCounterMode`, and `tests/test_benchmarks.py`
holds the two equal."""

    def __enter__(self) -> Self:
        self._hook = self._model.register_forward_pre_hook(self._count, with_kwargs=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._hook.remove()

    def _count(self, _: Any, __: Any, asked: dict[str, Any]) -> None:
        rows, width = asked["input_ids"].shape
        mask, past = asked.get("attention_mask"), asked.get("past_key_values")
        if mask is None:
            known = 0 if past is None else past.get_seq_length()
            mask = torch.ones((rows, known + width), dtype=torch.long)
        new, whole = mask[:, -width:].sum(1), mask.sum(1)
        tokens = int(new.sum())
        read = rows * (asked.get("logits_to_keep") or 1)
        self.tokens += tokens
        self.flops += 2 * (self._layers * tokens + self._head * read)
        self.flops += 4 * self._attention * int((new * whole).sum())


def linears(model: Any) -> list[torch.nn.Linear]:
    """The linear layers that every token goes through: all but the head."""
    head = model.get_output_embeddings()
    return [one for one in model.modules() if isinstance(one, torch.nn.Linear) and one is not head]


class Products(NamedTuple):
    """FLOP/s of matrix products: of the model's own shapes, and of a large square one."""

    shapes: float
    square: float


@torch.inference_mode()
def products(model: Any, repeats: int) -> Products:
    """This machine's own matrix products, in the model's number format; the best of several.

    Args:
        model: whose linear layers are run, one after the other, on ``ROWS`` rows.
        repeats: how many times.
    """
    layers = linears(model)
    square = torch.nn.Linear(SQUARE, SQUARE, bias=False, dtype=model.dtype)
    lay_out(square)
    rows = {
        size: torch.randn(ROWS, size).to(model.dtype)
        for size in {one.in_features for one in layers}
    }
    more = torch.randn(SQUARE, SQUARE).to(model.dtype)

    def through_the_model() -> None:
        for layer in layers:
            layer(rows[layer.in_features])

    return Products(
        2 * ROWS * sum(one.weight.numel() for one in layers) / _best(through_the_model, repeats),
        2 * SQUARE**3 / _best(lambda: square(more), 2 * repeats),
    )


def _best(work: Callable[[], object], repeats: int) -> float:
    times = []
    work()  # the first takes memory from the system
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)
