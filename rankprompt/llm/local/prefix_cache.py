"""Shared prompt starts are computed once: a tree of keys and values, kept within a memory bound.

Comparisons of one query share everything up to the first passage, those with the same first passage
everything up to the second, and all prompts the demonstrations before them. Each such start runs
through the model once, alone, so that what is kept never depends on a batch or on what was evicted
before; then only the suffixes are run, in batches, on copies of what they have in common.
"""

import logging
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from rankprompt.llm.local.encoding import Encoded

__all__ = ["PREFIX_BYTES", "SHORTEST", "Prefix", "Prefixes", "prefixes_of"]

log = logging.getLogger("rankprompt")

# A shorter start is not worth a run of its own.
SHORTEST = 16
PREFIX_BYTES = 1 << 30


class Prefix:
    """The keys and values of a prompt's start, as an addition to a shorter start.

    ``states`` is [layers, 2, heads, tokens, size], of the tokens after the parent's alone.
    """

    def __init__(self, parent: "Prefix | None", states: torch.Tensor) -> None:
        self.parent, self.states = parent, states
        self.length: int = states.shape[3] + (parent.length if parent else 0)

    def copy_into(self, target: torch.Tensor) -> None:
        """Copies the whole start to the end of ``target``, [layers, 2, heads, longest, size]."""
        part: Prefix | None = self
        end = target.shape[3]
        while part is not None:
            start = end - part.states.shape[3]
            target[:, :, :, start:end] = part.states
            part, end = part.parent, start


class Prefixes:
    """Prompt starts by their tokens, the least recently used forgotten first.

    Args:
        model: decoder-only, tried by ``prefixes_of``.
        tokens: to keep, at the most. A start whose parent was forgotten stays whole.
    """

    def __init__(self, model: Any, tokens: int) -> None:
        self._model, self.tokens = model, tokens
        self._kept: OrderedDict[tuple[int, ...], Prefix] = OrderedDict()
        self._held = 0

    def clear(self) -> None:
        """Forgets all starts."""
        self._kept.clear()
        self._held = 0

    def get(self, tokens: tuple[int, ...], bounds: Sequence[int]) -> tuple[Prefix, int]:
        """The start of ``tokens`` up to the last of ``bounds``.

        Args:
            tokens: of a prompt.
            bounds: where starts end that other prompts may share, ascending.

        Returns:
            The start, and how many tokens had to be run for it.
        """
        found: Prefix | None = None
        computed = 0
        for bound in bounds:
            name = tokens[:bound]
            if name in self._kept:
                self._kept.move_to_end(name)
                found = self._kept[name]
                continue
            found = self._extend(found, name)
            computed += found.states.shape[3]
            self._keep(name, found)
        assert found is not None
        return found, computed

    def starts(self, encoded: Sequence[Encoded]) -> tuple[list[Prefix | None], int, int]:
        """Each row's shared start, the tokens of all of them, and how many had to be run."""
        starts: list[Prefix | None] = []
        known = computed = 0
        for one in encoded:
            start, new = None, 0
            if one.bounds:
                start, new = self.get(one.context, one.bounds)
                known += start.length * max(1, len(one.rows))
            starts += [start] * max(1, len(one.rows))
            computed += new
        return starts, known, computed

    def assemble(self, starts: Sequence[Prefix | None]) -> tuple[DynamicCache, torch.Tensor]:
        """Copies starts into one batch, padded on the left.

        Args:
            starts: one a row; None for a row without.

        Returns:
            The cache to go on from, and its mask, [rows, longest].
        """
        longest = max(start.length if start else 0 for start in starts)
        like = next(start for start in starts if start).states
        layers, _, heads, _, size = like.shape
        states = like.new_zeros((len(starts), layers, 2, heads, longest, size))
        mask = torch.zeros((len(starts), longest), dtype=torch.long, device=like.device)
        for row, start in enumerate(starts):
            if start:
                start.copy_into(states[row])
                mask[row, longest - start.length :] = 1
        return DynamicCache([(one[:, 0], one[:, 1]) for one in states.unbind(1)]), mask

    def _extend(self, parent: Prefix | None, tokens: tuple[int, ...]) -> Prefix:
        past: Any = DynamicCache()
        known = 0
        if parent:
            past, _ = self.assemble([parent])
            known = parent.length
        ids = torch.tensor([tokens[known:]], device=self._model.device)
        self._model(input_ids=ids, past_key_values=past, use_cache=True, logits_to_keep=1)
        states = torch.stack(
            [torch.stack([one.keys[0, :, known:], one.values[0, :, known:]]) for one in past.layers]
        )
        return Prefix(parent, states)

    def _keep(self, name: tuple[int, ...], prefix: Prefix) -> None:
        self._kept[name] = prefix
        self._held += prefix.states.shape[3]
        while self._held > self.tokens and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            self._held -= oldest.states.shape[3]


def prefixes_of(model: Any, limit: int) -> Prefixes | None:
    """A store of prompt starts for a model, if it can go on from kept keys and values.

    Models with sliding windows, recurrent states or layers of unlike shapes cannot, or not so
    simply; and a wrong answer would be silent. So it is tried, on a few tokens.

    Args:
        model: decoder-only.
        limit: bytes to keep, at the most.
    """
    known = model.config.get_text_config().vocab_size - 1
    ids = torch.arange(2, 10, device=model.device).clamp(max=known)[None]
    try:
        with torch.inference_mode():
            past: Any = DynamicCache(config=model.config)
            whole = model(input_ids=ids, past_key_values=past, use_cache=True).logits[0, -1]
            layers = past.layers
            shapes = {one.shape for layer in layers for one in (layer.keys, layer.values)}
            if len(shapes) != 1 or any(type(layer) is not DynamicLayer for layer in layers):
                return None
            prefixes = Prefixes(model, tokens=8)
            start, _ = prefixes.get(tuple(ids[0].tolist()), [5])
            half, mask = prefixes.assemble([start])
            parts = model(
                input_ids=ids[:, 5:],
                attention_mask=torch.cat([mask, torch.ones_like(ids[:, 5:])], dim=1),
                position_ids=torch.arange(5, 8, device=model.device)[None],
                past_key_values=half,
                use_cache=True,
            ).logits[0, -1]
    except (TypeError, ValueError, RuntimeError, AttributeError, IndexError) as error:
        log.debug("no reuse of prompt starts with this model: %s", error)
        return None
    if not torch.allclose(whole, parts, rtol=0.05, atol=0.05 * float(whole.float().std())):
        return None
    prefixes.clear()
    prefixes.tokens = limit // (start.states.nbytes // start.length)
    return prefixes
