"""Plans batches of requests, and pads them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch

from rankprompt.llm.base import Request, Usage
from rankprompt.llm.local.encoding import EncodedRequest

__all__ = ["BatchLimits", "pad_rows", "padded_tokens", "plan_batches"]

# Copying this many tokens of a cached prefix into a batch costs about as much as running one.
_COPIES = 8


class BatchLimits(NamedTuple):
    """What a batch may have at most; None for no limit.

    Attributes:
        tokens: padded tokens, prompts and answers together (a longer request is a batch of its
            own).
        prefix_tokens: tokens of the prefixes of requests that are planned together; None if none
            are cached.
        padding: padding of scored requests, in tokens.
        logits: rows times the positions that are read in each.
        states: rows times the tokens of each whose keys and values are in memory.
    """

    tokens: int
    prefix_tokens: int | None = None
    padding: int | None = None
    logits: int | None = None
    states: int | None = None


def plan_batches(
    requests: Sequence[Request],
    encoded: Mapping[Request, EncodedRequest],
    limits: BatchLimits,
) -> list[list[int]]:
    """Splits requests into batches of similar length, longest first; deterministic.

    Requests with the same prefix stay near each other: they are first split into groups whose
    prefixes fit into the cache together, and each group then into batches.

    Args:
        requests: the requests.
        encoded: the tokens of each request.
        limits: what a batch may have.

    Returns:
        Batches of indices into ``requests``, each index once.
    """
    groups = [list(range(len(requests)))]
    if limits.prefix_tokens is not None:
        groups = _groups(requests, encoded, limits.prefix_tokens)
    split = (_batches(requests, encoded, one, limits) for one in groups)
    return [batch for batches in split for batch in batches]


def _groups(
    requests: Sequence[Request], encoded: Mapping[Request, EncodedRequest], limit: int
) -> list[list[int]]:
    keyed = sorted((encoded[request].start, index) for index, request in enumerate(requests))
    groups: list[list[int]] = [[]]
    room = limit
    previous: tuple[int, ...] = ()
    for start, index in keyed:
        if start != previous:
            room -= len(start)
            previous = start
        if room < 0 and groups[-1]:
            groups.append([])
            room = limit - len(start)
        groups[-1].append(index)
    return groups


def _batches(
    requests: Sequence[Request],
    encoded: Mapping[Request, EncodedRequest],
    indices: Sequence[int],
    limits: BatchLimits,
) -> list[list[int]]:
    sizes = {index: _size(requests[index], encoded[requests[index]]) for index in indices}
    batches: list[list[int]] = []
    whole, padding = _Size(), 0
    for index in sorted(indices, key=lambda i: (not requests[i].options, -sizes[i].length, i)):
        request, size = requests[index], sizes[index]
        same_kind = batches and bool(request.options) == bool(requests[batches[-1][0]].options)
        together = whole.with_(size)
        padded = padding + size.rows * (together.length - size.length)
        wasteful = request.options and limits.padding is not None and padded > limits.padding
        if not same_kind or wasteful or together.exceeds(limits):
            batches.append([])
            together, padded = size, 0
        batches[-1].append(index)
        whole, padding = together, padded
    return batches


class _Size(NamedTuple):
    """What a batch takes: its rows, and the most of any row of what it is made of, in tokens.

    ``length`` is what no cached prefix has, ``copied`` what one has, ``written`` the room for an
    answer, and ``read`` the positions whose logits are read.
    """

    rows: int = 0
    length: int = 0
    copied: int = 0
    written: int = 0
    read: int = 0

    def with_(self, other: "_Size") -> "_Size":
        return _Size(
            self.rows + other.rows,
            max(self.length, other.length),
            max(self.copied, other.copied),
            max(self.written, other.written),
            max(self.read, other.read),
        )

    @property
    def tokens(self) -> int:
        return self.rows * (self.length + self.written + self.copied // _COPIES)

    def exceeds(self, limits: BatchLimits) -> bool:
        if self.tokens > limits.tokens:
            return True
        if limits.logits is not None and self.rows * self.read > limits.logits:
            return True
        # A whole prompt that is only scored leaves no keys and values behind.
        held = self.copied or self.written
        states = self.rows * (self.length + self.written + self.copied) if held else 0
        return limits.states is not None and states > limits.states


def _size(request: Request, encoded: EncodedRequest) -> _Size:
    start = len(encoded.start)
    read = 1 + max((len(row.stem) for row in encoded.rows), default=0)
    rows = max(1, len(encoded.rows))
    return _Size(rows, encoded.length - start, start, request.max_tokens, read)


def padded_tokens(requests: Sequence[Request], encoded: Sequence[EncodedRequest]) -> int:
    """Counts the tokens of a batch as they are planned: padded, with the room for answers."""
    whole = _Size()
    for request, one in zip(requests, encoded, strict=True):
        whole = whole.with_(_size(request, one))
    return whole.tokens


def pad_rows(
    sequences: Sequence[Sequence[int]], pad: int, device: torch.device, *, right: bool = False
) -> tuple[torch.Tensor, torch.Tensor, Usage]:
    """Puts token sequences into one tensor, padded on the left or the right.

    Returns:
        The tokens and their mask, both [sequences, longest], and the usage of running them.
    """
    longest = max(map(len, sequences))
    ids = torch.full((len(sequences), longest), pad, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, sequence in enumerate(sequences):
        start = 0 if right else longest - len(sequence)
        ids[row, start : start + len(sequence)] = torch.tensor(sequence)
        mask[row, start : start + len(sequence)] = 1
    tokens = sum(map(len, sequences))
    return ids.to(device), mask.to(device), Usage(tokens, ids.numel() - tokens)
