"""Attention for several prompts in one row, each of which sees its own tokens and its prefix's.

transformers lets a model's attention be another function (``AttentionInterface``), to which the
keyword arguments of the model's ``forward`` go. Ours computes each segment of a row alone, so that
a segment costs no more than by itself, and its states depend on no other prompt of the row.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from rankprompt.llm.local.prefix_cache import Prefix

__all__ = ["Packing", "Segment", "run_packed", "use_packed_attention"]

_NAME = "rankprompt_packed"
_PLAIN = "sdpa"
# With one of these, attention is not what is computed here.
_UNKNOWN = ("cache", "position_bias", "s_aux", "sliding_window", "softcap")


class Segment(NamedTuple):
    """Tokens of a row, from ``begin`` to ``end``, that go on from a prefix.

    Their keys and values are written to ``made``, if they are a prefix that others go on from.
    """

    begin: int
    end: int
    prefix: Prefix | None
    made: Prefix | None = None


class Packing:
    """The segments of one row, each after the one that makes its prefix."""

    def __init__(self, segments: Sequence[Segment]) -> None:
        self._makes = [(one.made, one.begin, one.end) for one in segments if one.made]
        # Those with the same prefix one after the other, for which it is copied once.
        groups: dict[int, list[Segment]] = {}
        for one in segments:
            groups.setdefault(id(one.prefix), []).append(one)
        self._groups = list(groups.values())
        self._masks: dict[tuple[int, int], torch.Tensor] = {}

    def attend(
        self,
        layer: int,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        scaling: float | None,
    ) -> torch.Tensor:
        """Computes the attention of a layer.

        Args:
            layer: the layer's number, from 0.
            query: [1, heads, tokens, size].
            key: [1, key heads, tokens, size]; heads share them in groups.
            value: as ``key``.
            scaling: of the scores; None for the usual one.

        Returns:
            [1, tokens, heads, size].
        """
        for made, begin, end in self._makes:
            made.states[layer, 0] = key[0, :, begin:end]
            made.states[layer, 1] = value[0, :, begin:end]
        found = torch.empty_like(query)
        for group in self._groups:
            prefix = group[0].prefix
            known = prefix.length if prefix else 0
            longest = known + max(one.end - one.begin for one in group)
            both = key.new_empty((2, 1, key.shape[1], longest, key.shape[3]))
            if prefix:
                prefix.copy_into(both[None, :, 0, :, :known], slice(layer, layer + 1))
            for begin, end, *_ in group:
                size = end - begin
                both[0, 0, :, known : known + size] = key[0, :, begin:end]
                both[1, 0, :, known : known + size] = value[0, :, begin:end]
                found[:, :, begin:end] = scaled_dot_product_attention(
                    query[:, :, begin:end],
                    both[0, ..., : known + size, :],
                    both[1, ..., : known + size, :],
                    attn_mask=self._mask(size, known, query) if known else None,
                    is_causal=not known,
                    scale=scaling,
                    enable_gqa=key.shape[1] != query.shape[1],
                )
        return found.transpose(1, 2)

    def _mask(self, size: int, known: int, like: torch.Tensor) -> torch.Tensor:
        """What is added to scores: [size, known + size], 0 for a token that is seen."""
        if (size, known) not in self._masks:
            hidden = like.new_full((size, known + size), -torch.inf)
            self._masks[size, known] = hidden.triu(known + 1)
        return self._masks[size, known]


def _attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    packing: Packing | None = None,
    **settings: Any,
) -> tuple[torch.Tensor, None]:
    if packing is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **settings)
    if any(settings.get(name) is not None for name in _UNKNOWN):
        raise ValueError(f"attention has one of {', '.join(_UNKNOWN)}")
    layer: Any = module.layer_idx
    return packing.attend(layer, query, key, value, settings.get("scaling")), None


AttentionInterface.register(_NAME, _attend)
AttentionMaskInterface.register(_NAME, sdpa_mask)


def use_packed_attention(model: PreTrainedModel, *, use: bool = True) -> bool:
    """Lets a model attend to packed rows, or no longer; rows that are not packed stay as they were.

    Returns:
        False for a model whose attention is none of transformers' usual.
    """
    if model.config.get_text_config()._attn_implementation != (_PLAIN if use else _NAME):
        return False
    model.set_attn_implementation(_NAME if use else _PLAIN)
    return True


def run_packed(
    model: PreTrainedModel,
    ids: Sequence[int],
    positions: Sequence[int],
    read: Sequence[int],
    segments: Sequence[Segment],
) -> torch.Tensor:
    """Runs a packed row, and returns the logits of its places ``read``, [places, vocabulary]."""
    # Any mask of four dimensions is left alone; ours is in the segments.
    unused = torch.zeros((1, 1, 1, 1), dtype=model.dtype)
    logits: torch.Tensor = model(
        input_ids=torch.tensor([ids]),
        attention_mask=unused,
        position_ids=torch.tensor([positions]),
        logits_to_keep=torch.tensor(read),
        use_cache=False,
        packing=Packing(segments),
    ).logits[0]
    return logits
