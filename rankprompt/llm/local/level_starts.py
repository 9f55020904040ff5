"""Computes the shared prefixes of one batch in a few passes, where that costs less than it saves.

An accelerator runs a thousand tokens in the time that starting a pass takes, so no prefix is run
alone: those of a batch whose parents are computed run together, level by level. That rounds
otherwise than alone. So nothing is kept for the next batch: an answer depends on its batch alone,
and a resumed run, which forms the same batches, gets the same numbers.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from transformers import DynamicCache

from rankprompt.llm.local.batches import pad_rows
from rankprompt.llm.local.encoding import EncodedRequest
from rankprompt.llm.local.prefix_cache import Prefix, PrefixCache, layer_states

__all__ = ["LevelStarts", "choose_levels", "with_levels"]


def choose_levels(
    encoded: Sequence[EncodedRequest], *, launch_tokens: int, pass_tokens: int
) -> tuple[int, ...]:
    """Chooses the levels of prefixes that are worth a pass of their own.

    Args:
        encoded: the requests of a batch.
        launch_tokens: how many tokens the device runs in the time that starting a pass takes: what
            a pass costs beside its tokens.
        pass_tokens: the most tokens of a pass.

    Returns:
        Indices into the requests' ``bounds``, ascending; empty where whole prompts cost least.

    Examples:
        >>> from rankprompt.llm.local.encoding import EncodedRequest, Row
        >>> from rankprompt.llm.local.level_starts import choose_levels
        >>> def prompt(first, second):
        ...     return EncodedRequest((*first, *second), (1,), (Row((), ((0, 1),)),), (len(first),))
        >>> pairs = [prompt([one] * 50, [two] * 50) for one in range(9) for two in range(9)]
        >>> choose_levels(pairs, launch_tokens=1000, pass_tokens=4096)
        (0,)
        >>> choose_levels(pairs, launch_tokens=10_000, pass_tokens=4096)
        ()
    """
    chosen: tuple[int, ...] = ()
    least = _cost(encoded, chosen, launch_tokens, pass_tokens)
    left = set(range(max((len(one.bounds) for one in encoded), default=0)))
    while left:
        costs = {
            level: _cost(encoded, tuple(sorted((*chosen, level))), launch_tokens, pass_tokens)
            for level in sorted(left)
        }
        best = min(costs, key=lambda level: (costs[level], level))
        if costs[best] >= least:
            break
        chosen, least = tuple(sorted((*chosen, best))), costs[best]
        left.remove(best)
    return chosen


def with_levels(request: EncodedRequest, levels: Sequence[int]) -> EncodedRequest:
    """A request with the prefixes of these levels alone."""
    bounds = request.bounds
    return request._replace(bounds=tuple(bounds[one] for one in levels if one < len(bounds)))


def _cost(
    encoded: Sequence[EncodedRequest], levels: Sequence[int], launch_tokens: int, pass_tokens: int
) -> int:
    """The tokens that a batch runs, and those that could be run while its passes start."""
    by_level = [0] * len(levels)
    seen: set[tuple[int, ...]] = set()
    tokens = 0
    for whole in encoded:
        request = with_levels(whole, levels)
        for level, (parent, bound) in enumerate(pairwise((0, *request.bounds))):
            key = request.context[:bound]
            if key not in seen:
                seen.add(key)
                by_level[level] += bound - parent
        beyond = len(request.context) - len(request.start)
        tokens += sum(beyond + len(row.stem) for row in request.rows) or beyond
    passes = sum(-(-one // pass_tokens) for one in by_level)
    return tokens + sum(by_level) + launch_tokens * passes


class LevelStarts:
    """The prefixes of one batch at a time, for a ``Runner``.

    Args:
        cache: of a model that continues from cached states; only its ``assemble`` is used.
        launch_tokens: as in ``choose_levels``.
        pass_tokens: as in ``choose_levels``.
    """

    def __init__(self, cache: PrefixCache, *, launch_tokens: int, pass_tokens: int) -> None:
        self._cache, self._launch_tokens = cache, launch_tokens
        self.pass_tokens = pass_tokens
        self.assemble = cache.assemble

    def chosen(self, encoded: Sequence[EncodedRequest]) -> list[EncodedRequest]:
        """The requests of a batch with the prefixes that are worth computing, often none."""
        levels = choose_levels(
            encoded, launch_tokens=self._launch_tokens, pass_tokens=self.pass_tokens
        )
        return [with_levels(one, levels) for one in encoded]

    def starts(self, encoded: Sequence[EncodedRequest]) -> tuple[list[Prefix | None], int, int]:
        """As ``PrefixCache.starts``."""
        chosen = self.chosen(encoded)
        prefixes: dict[tuple[int, ...], Prefix] = {}
        computed = 0
        for level in range(max((len(one.bounds) for one in chosen), default=0)):
            parents = {
                one.context[: one.bounds[level]]: (
                    one.context[: one.bounds[level - 1]] if level else ()
                )
                for one in chosen
                if level < len(one.bounds)
            }
            new = sorted(
                (key for key in parents if key not in prefixes),
                key=lambda key: (len(key) - len(parents[key]), key),
            )
            for keys in self._passes(new, [len(key) - len(parents[key]) for key in new]):
                found = self._run(keys, [prefixes.get(parents[key]) for key in keys])
                prefixes |= zip(keys, found, strict=True)
                computed += sum(len(key) - len(parents[key]) for key in keys)
        starts: list[Prefix | None] = []
        for one in chosen:
            starts += [prefixes.get(one.start)] * max(1, len(one.rows))
        return starts, sum(prefix.length for prefix in starts if prefix), computed

    def _passes(
        self, keys: Sequence[tuple[int, ...]], lengths: Sequence[int]
    ) -> Iterator[Sequence[tuple[int, ...]]]:
        """Splits prefixes, ascending by length, into passes."""
        begin = 0
        for end, length in enumerate(lengths):
            if end > begin and (end - begin + 1) * length > self.pass_tokens:
                yield keys[begin:end]
                begin = end
        if keys:
            yield keys[begin:]

    def _run(
        self, keys: Sequence[tuple[int, ...]], parents: Sequence[Prefix | None]
    ) -> list[Prefix]:
        """Runs what prefixes have beyond their parents, padded on the left."""
        model = self._cache.model
        ends = [
            key[parent.length if parent else 0 :] for key, parent in zip(keys, parents, strict=True)
        ]
        ids, mask, _ = pad_rows(ends, 0, model.device)
        past = DynamicCache()
        if any(parents):
            past, before = self.assemble(parents)
            mask = torch.cat([before, mask], dim=1)
        positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=past,
            use_cache=True,
            logits_to_keep=1,
        )
        longest = ids.shape[1]
        # [layers, 2, rows, heads, longest, size]; a prefix is a view of it.
        states = torch.stack(
            [torch.stack([one[:, :, -longest:] for one in layer]) for layer in layer_states(past)]
        )
        return [
            Prefix(parent, states[:, :, row, :, longest - len(end) :])
            for row, (parent, end) in enumerate(zip(parents, ends, strict=True))
        ]
