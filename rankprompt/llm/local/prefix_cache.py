"""Computes shared prompt prefixes only once: a tree of keys and values with a memory limit.

All questions about a query share the text before the first passage, those with the same first
passage the text before the second, and all prompts their demonstrations. Each such prefix runs
through the model once, in a packed row (``packed_rows``) or alone, so that its states depend
neither on a batch nor on what was evicted before; then only the suffixes run on the cached states.
"""

import logging
from collections import OrderedDict
from collections.abc import Sequence
from weakref import finalize

import torch
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from rankprompt.llm.local.batches import pad_rows
from rankprompt.llm.local.encoding import EncodedRequest
from rankprompt.llm.local.trials import Trial, agrees, trial

__all__ = ["SHORTEST", "Prefix", "PrefixCache", "layer_states", "prefix_cache_for"]

log = logging.getLogger("rankprompt")

# A shorter prefix is not worth a run of its own.
SHORTEST = 16


class Prefix:
    """The keys and values of a prefix, as an extension of a shorter one, its parent.

    ``states`` is [layers, 2, heads, tokens, size], only of the tokens after the parent's;
    ``length`` counts the tokens of the whole prefix.
    """

    def __init__(self, parent: "Prefix | None", states: torch.Tensor) -> None:
        self.parent, self.states = parent, states
        self.length: int = states.shape[3] + (parent.length if parent else 0)

    def copy_into(self, target: torch.Tensor, layers: slice = slice(None)) -> None:
        """Copies the whole prefix to the end of ``target``, [layers, 2, heads, longest, size]."""
        prefix: Prefix | None = self
        end = target.shape[3]
        while prefix is not None:
            start = end - prefix.states.shape[3]
            target[:, :, :, start:end] = prefix.states[layers]
            prefix, end = prefix.parent, start


class _Held:
    tokens = 0

    def release(self, tokens: int) -> None:
        self.tokens -= tokens


class PrefixCache:
    """Prefixes by their tokens; the least recently used is evicted first.

    Of ``capacity`` tokens, ``held`` are in memory. A prefix whose parent was evicted stays whole:
    the parent's tokens are held until no prefix extends it.

    Args:
        model: decoder-only, tested by ``prefix_cache_for``.
        capacity: how many tokens to hold.
    """

    def __init__(self, model: PreTrainedModel, capacity: int) -> None:
        self.model, self.capacity = model, capacity
        self._prefixes: OrderedDict[tuple[int, ...], Prefix] = OrderedDict()
        # Apart from the cache, which a prefix must not keep in memory.
        self._held = _Held()

    @property
    def held(self) -> int:
        """The tokens in memory."""
        return self._held.tokens

    def clear(self) -> None:
        """Evicts all prefixes."""
        self._prefixes.clear()

    def get(self, tokens: tuple[int, ...], bounds: Sequence[int]) -> tuple[Prefix, int]:
        """Returns the prefix of a prompt's tokens up to the last of ``bounds``, and its cost.

        Args:
            tokens: a prompt's.
            bounds: lengths of the prefixes that other prompts may share, ascending; at least one.

        Returns:
            The prefix, and how many tokens had to be run for it.
        """
        prefix: Prefix | None = None
        computed = 0
        for bound in bounds:
            key = tokens[:bound]
            found = self.find(key)
            if found is None:
                found = self._extend(prefix, key)
                computed += found.states.shape[3]
                self.hold(key, found)
            prefix = found
        assert prefix is not None
        return prefix, computed

    def find(self, tokens: tuple[int, ...]) -> Prefix | None:
        """Returns a prefix if it is cached, and counts that as a use of it."""
        if tokens in self._prefixes:
            self._prefixes.move_to_end(tokens)
        return self._prefixes.get(tokens)

    def hold(self, tokens: tuple[int, ...], prefix: Prefix) -> None:
        """Caches a prefix that has been run, and evicts others if there is no room for all."""
        self._prefixes[tokens] = prefix
        size = prefix.states.shape[3]
        self._held.tokens += size
        finalize(prefix, self._held.release, size).atexit = False
        while self.held > self.capacity and len(self._prefixes) > 1:
            self._prefixes.popitem(last=False)

    def starts(self, encoded: Sequence[EncodedRequest]) -> tuple[list[Prefix | None], int, int]:
        """Returns each row's prefix, the tokens of all of them, and how many had to be run."""
        starts: list[Prefix | None] = []
        known = computed = 0
        for request in encoded:
            rows = max(1, len(request.rows))
            prefix, new = None, 0
            if request.bounds:
                prefix, new = self.get(request.context, request.bounds)
                known += prefix.length * rows
            starts += [prefix] * rows
            computed += new
        return starts, known, computed

    def assemble(self, starts: Sequence[Prefix | None]) -> tuple[DynamicCache, torch.Tensor]:
        """Copies the rows' prefixes into one batch, padded on the left.

        Returns:
            The keys and values for the model to continue from, and their mask, [rows, longest].
        """
        longest = max(prefix.length if prefix else 0 for prefix in starts)
        like = next(prefix for prefix in starts if prefix).states
        layers, _, heads, _, size = like.shape
        states = like.new_empty((len(starts), layers, 2, heads, longest, size))
        mask = torch.zeros((len(starts), longest), dtype=torch.long, device=like.device)
        for row, prefix in enumerate(starts):
            begin = longest - (prefix.length if prefix else 0)
            # The padding is masked, but what is no number would remain none.
            states[row, :, :, :, :begin] = 0
            mask[row, begin:] = 1
            if prefix:
                prefix.copy_into(states[row])
        return DynamicCache([(layer[:, 0], layer[:, 1]) for layer in states.unbind(1)]), mask

    def _extend(self, parent: Prefix | None, tokens: tuple[int, ...]) -> Prefix:
        past = DynamicCache()
        known = 0
        if parent:
            past, _ = self.assemble([parent])
            known = parent.length
        ids = torch.tensor([tokens[known:]], device=self.model.device)
        self.model(input_ids=ids, past_key_values=past, use_cache=True, logits_to_keep=1)
        states = [torch.stack([one[0, :, known:] for one in layer]) for layer in layer_states(past)]
        return Prefix(parent, torch.stack(states))


def prefix_cache_for(
    model: PreTrainedModel, limit: int, tried: Trial | None = None
) -> PrefixCache | None:
    """Returns a prefix cache for a model that can continue from cached keys and values.

    Models with sliding windows, recurrent states or layers of different shapes cannot, or not as
    simply, and their wrong answers would go unnoticed. So two rows are tried, with prefixes of
    different lengths and different lengths after them. The cache holds at most ``limit`` bytes.
    """
    if "local" in (getattr(model.config, "attention_layers", None) or ()):
        # GPT-Neo's window of 256 counts the padding between a prefix and what follows it, which no
        # short trial can show.
        return None
    rows, expected = tried or trial(model)
    # Much padding between the second prefix and what follows it.
    lengths = [len(rows[0]) // 3, len(rows[1]) * 5 // 6]
    try:
        with torch.inference_mode():
            past = DynamicCache(config=model.config)
            ids = torch.tensor([rows[0][:2]], device=model.device)
            model(input_ids=ids, past_key_values=past, use_cache=True, logits_to_keep=1)
            if len({states.shape for layer in layer_states(past) for states in layer}) != 1:
                return None
            cache = PrefixCache(model, capacity=sum(map(len, rows)))
            pairs = zip(rows, lengths, strict=True)
            prefixes = [cache.get(tuple(row), [length])[0] for row, length in pairs]
            half, mask = cache.assemble(prefixes)
            ends = [row[length:] for row, length in zip(rows, lengths, strict=True)]
            ids, end_mask, _ = pad_rows(ends, 0, model.device)
            mask = torch.cat([mask, end_mask], dim=1)
            positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
            continued = model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=half,
                use_cache=True,
            ).logits[:, -1]
    except (TypeError, ValueError, RuntimeError, AttributeError, IndexError) as error:
        log.debug("this model cannot continue from cached prefixes: %s", error)
        return None
    if not agrees(continued, torch.stack([logits[-1] for logits in expected]), model.dtype):
        return None
    prefix = prefixes[0]
    cache.clear()
    cache.capacity = limit // (prefix.states.nbytes // prefix.length)
    return cache


def layer_states(past: DynamicCache) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Returns each layer's keys and values, [rows, heads, tokens, size].

    Raises:
        TypeError: a layer does not simply keep the keys and values of all tokens.
    """
    layers = []
    for layer in past.layers:
        if type(layer) is not DynamicLayer or layer.keys is None or layer.values is None:
            raise TypeError(f"a layer's cache is a {type(layer).__name__}")
        layers.append((layer.keys, layer.values))
    return layers
