"""Runs the prompts of a batch as one row: each prefix once, no padding, and one pass for all.

A CPU starts a pass as dearly as it runs some thirty tokens, because it reads all weights. So the
prefixes that are not cached yet run in the same pass as what follows them. Each segment attends
alone (``packed_attention``), and all else in a model goes token by token: an answer depends on its
own prompt, and neither on its batch nor on what was cached before.
"""

import logging
from collections.abc import Sequence
from itertools import pairwise

import torch
from transformers import PreTrainedModel

from rankprompt.llm.base import Answer, Usage
from rankprompt.llm.local.encoding import EncodedRequest, Row
from rankprompt.llm.local.option_logits import read_options
from rankprompt.llm.local.packed_attention import Segment, run_packed, use_packed_attention
from rankprompt.llm.local.prefix_cache import Prefix, PrefixCache
from rankprompt.llm.local.trials import Trial, agrees, trial

__all__ = ["RowPacker", "row_packer_for"]

log = logging.getLogger("rankprompt")


class RowPacker:
    """Runs prompts as one row of a model that ``row_packer_for`` tested.

    Args:
        model: the model, on the CPU.
        cache: of its prefixes.
        like: the states of any prefix.
    """

    def __init__(self, model: PreTrainedModel, cache: PrefixCache, like: torch.Tensor) -> None:
        self._model, self._cache, self._like = model, cache, like[..., :0, :].clone()

    def plan(self, encoded: Sequence[EncodedRequest], tokens: int, logits: int) -> list[list[int]]:
        """Splits requests into batches; deterministic.

        Requests that begin alike come one after the other. A prefix counts where it comes first,
        whether or not it is cached.

        Args:
            encoded: requests to score.
            tokens: the most of a batch; a longer request is a batch of its own.
            logits: the most rows of a batch, times the places that are read in each.

        Returns:
            Batches of indices into ``encoded``, each index once.
        """
        batches: list[list[int]] = []
        seen: set[tuple[int, ...]] = set()
        room = rows = width = 0
        for index in sorted(range(len(encoded)), key=lambda place: (encoded[place].context, place)):
            one = encoded[index]
            size = _new_tokens(one, seen)
            rows += len(one.rows)
            width = max(width, _width([one]))
            if not batches or size > room or rows * width > logits:
                batches.append([])
                room, rows, width = tokens, len(one.rows), _width([one])
            batches[-1].append(index)
            room -= size
        return batches

    def tokens(self, encoded: Sequence[EncodedRequest]) -> int:
        """Counts the tokens that a batch would run now."""
        seen = {
            one.context[:end]
            for one in encoded
            for end in one.bounds
            if self._cache.find(one.context[:end])
        }
        return sum(_new_tokens(one, seen) for one in encoded)

    def score(self, encoded: Sequence[EncodedRequest]) -> tuple[list[Answer], Usage]:
        """Scores the options of one batch, in the same order."""
        logits, usage = self._run(encoded)
        rows = [row for one in encoded for row in one.rows]
        firsts = [logits.shape[1] - 1 - len(row.stem) for row in rows]
        return read_options(encoded, logits, firsts), usage

    def _run(self, encoded: Sequence[EncodedRequest]) -> tuple[torch.Tensor, Usage]:
        """The logits of the last places of all rows, [rows, places, vocabulary]."""
        row = _Row(self._cache, self._like, _width(encoded))
        for one in encoded:
            row.add(one)
        logits = run_packed(self._model, row.ids, row.positions, row.read, row.segments)
        row.hold(encoded[-1].context)
        return logits.view(-1, row.places, logits.shape[1]), row.usage


class _Row:
    """A row as it is put together, with ``read``, the places whose logits are read.

    Args:
        cache: of prefixes.
        like: as for ``RowPacker``.
        places: how many are read at the end of each prompt.
    """

    def __init__(self, cache: PrefixCache, like: torch.Tensor, places: int) -> None:
        self._cache, self._like, self.places = cache, like, places
        self.ids: list[int] = []
        self.positions: list[int] = []
        self.segments: list[Segment] = []
        self.read: list[int] = []
        self._whole = 0
        self._made: dict[tuple[int, ...], Prefix] = {}
        self._shared: set[tuple[int, ...]] = set()

    @property
    def usage(self) -> Usage:
        """What running the row takes."""
        return Usage(len(self.ids), 0, self._whole - len(self.ids))

    def add(self, one: EncodedRequest) -> None:
        """Adds a prompt, and what there is not yet of its prefixes."""
        prefix: Prefix | None = None
        for begin, end in pairwise((0, *_bounds(one))):
            key = one.context[:end]
            known = self._made.get(key) or self._cache.find(key)
            if known is None:
                shape = (*self._like.shape[:3], end - begin, self._like.shape[4])
                known = self._made[key] = Prefix(prefix, self._like.new_empty(shape))
                self._append(key[begin:], prefix, known)
            if end in one.bounds:
                self._shared.add(key)
            prefix = known
        for row in one.rows:
            self._append([*one.context[prefix.length if prefix else 0 :], *row.stem], prefix)
            # The first places of a short row belong to others and are not used.
            self.read += [max(0, len(self.ids) - back) for back in range(self.places, 0, -1)]
            self._whole += len(one.context) + len(row.stem)

    def hold(self, last: tuple[int, ...]) -> None:
        """Caches the new prefixes once the row has been run, those of the ``last`` prompt last.

        The next batch goes on with them. What is then evicted must be out of memory at once, so
        nothing here may refer to it.
        """
        self.segments.clear()
        for key in sorted(self._made, key=lambda key: (last[: len(key)] == key, key)):
            if key in self._shared:
                self._cache.hold(key, self._made.pop(key))
        self._made.clear()

    def _append(
        self, tokens: Sequence[int], prefix: Prefix | None, made: Prefix | None = None
    ) -> None:
        begin, first = len(self.ids), prefix.length if prefix else 0
        self.ids.extend(tokens)
        self.positions.extend(range(first, first + len(tokens)))
        self.segments.append(Segment(begin, len(self.ids), prefix, made))


def _bounds(one: EncodedRequest) -> tuple[int, ...]:
    """Where a request's prefixes end; what all of its rows begin with is one."""
    most = len(one.context) - 1
    alike = len(one.rows) > 1 and most > max(one.bounds, default=0)
    return (*one.bounds, most) if alike else one.bounds


def _new_tokens(one: EncodedRequest, seen: set[tuple[int, ...]]) -> int:
    """Counts the tokens of a request but those of prefixes that were seen; adds its own."""
    bounds = _bounds(one)
    beyond = len(one.context) - max(bounds, default=0)
    size = sum(beyond + len(row.stem) for row in one.rows)
    for begin, end in pairwise((0, *bounds)):
        if one.context[:end] not in seen:
            seen.add(one.context[:end])
            size += end - begin
    return size


def _width(encoded: Sequence[EncodedRequest]) -> int:
    """The places that are read in each row."""
    return 1 + max(len(row.stem) for one in encoded for row in one.rows)


def row_packer_for(
    model: PreTrainedModel, cache: PrefixCache, tried: Trial | None = None
) -> RowPacker | None:
    """Returns a packer for a model that answers packed rows as it answers each row alone.

    A model with positions, masks or attention of its own would give wrong answers unnoticed, so it
    is tried on two rows that begin alike: with their prefix in the same row, and cached.
    """
    rows, expected = tried or trial(model)
    alike = next(place for place, (a, b) in enumerate(zip(*rows, strict=False)) if a != b)
    bounds = alike, len(rows[0]) // 2
    if not use_packed_attention(model):
        return None
    try:
        with torch.inference_mode():
            packer = RowPacker(model, cache, cache.get(tuple(rows[0][:2]), [2])[0].states)
            cache.clear()
            encoded = [
                EncodedRequest(tuple(row), (1,), (Row((), ((0, 0),)),), bounds) for row in rows
            ]
            logits = [packer._run(encoded)[0][:, -1] for _ in ("new", "cached")]
    except (TypeError, ValueError, RuntimeError, AttributeError, IndexError) as error:
        log.debug("this model cannot run several prompts in a row: %s", error)
        logits = []
    finally:
        cache.clear()
    ends = torch.stack([one[-1] for one in expected])
    if logits and all(agrees(found, ends, model.dtype) for found in logits):
        return packer
    use_packed_attention(model, use=False)
    return None
