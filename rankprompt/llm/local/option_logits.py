"""Reads options' log-likelihoods from a batch's logits, on the device and in one transfer."""

from collections.abc import Iterator, Sequence

import torch

from rankprompt.llm.base import Answer
from rankprompt.llm.local.encoding import EncodedRequest

__all__ = ["read_options"]

# Numbers that are normalised at a time: 256 MiB of float32 beside the logits themselves.
_SLICE = 1 << 26


def read_options(
    encoded: Sequence[EncodedRequest],
    logits: torch.Tensor,
    starts: Sequence[int],
    *,
    slice_size: int = _SLICE,
) -> list[Answer]:
    """Reads the options' log-likelihoods from logits.

    Args:
        encoded: the requests, whose rows are the rows of ``logits``, in order.
        logits: [rows, positions, vocabulary].
        starts: for each row, the position whose logits predict the first token after the context.
        slice_size: the most logits that are normalised at a time.
    """
    rows = [row for request in encoded for row in request.rows]
    places: list[int] = []  # what is read, as an index into [rows * positions]
    picked: list[tuple[int, int]] = []  # (index into places, token)
    stopped: list[tuple[int, tuple[int, ...]]] = []  # (index into places, tokens not meant)
    for index, (row, start) in enumerate(zip(rows, starts, strict=True)):
        first = len(places)
        begin = index * logits.shape[1] + start
        places += range(begin, begin + len(row.stem) + 1)
        picked += ((first + place, token) for place, token in enumerate(row.stem))
        picked += ((first + len(row.stem), token) for _, token in row.lasts)
        stopped += ((first + length, tokens) for _, length, tokens in row.stops)
    values = _values(logits.flatten(0, 1), places, picked, stopped, slice_size)
    stems, stops = iter(values[: len(picked)]), iter(values[len(picked) :])
    answers = []
    for request in encoded:
        loglikelihoods = [0.0] * len(request.counts)
        for row in request.rows:
            stem = sum(next(stems) for _ in row.stem)
            for option, _ in row.lasts:
                loglikelihoods[option] += stem + next(stems)
            for option, _, _ in row.stops:
                loglikelihoods[option] += next(stops)
        answers.append(Answer(tuple(loglikelihoods), request.counts))
    return answers


def _values(
    flat: torch.Tensor,
    places: Sequence[int],
    picked: Sequence[tuple[int, int]],
    stopped: Sequence[tuple[int, tuple[int, ...]]],
    slice_size: int,
) -> list[float]:
    """The log-probability of each picked token, and then that of no token that is not meant.

    Args:
        flat: [rows * positions, vocabulary].
        places: rows of ``flat``.
        picked: (index into ``places``, token).
        stopped: (index into ``places``, tokens).
        slice_size: as in ``read_options``.
    """
    at = torch.tensor(places, dtype=torch.long, device=flat.device)
    count = max(1, slice_size // flat.shape[1])
    norms = torch.cat([part.logsumexp(-1) for part in _slices(flat, places, at, count)])
    where, tokens = _pairs(picked, flat.device)
    found = [flat[at[where], tokens].float() - norms[where]]
    for begin in range(0, len(stopped), count):
        some = stopped[begin : begin + count]
        index = torch.tensor([place for place, _ in some], device=flat.device)
        pairs = [(row, token) for row, (_, others) in enumerate(some) for token in others]
        row, token = _pairs(pairs, flat.device)
        # Not 1 minus the others' share, which is rounded away where they have nearly all.
        left = flat[at[index]].float().index_put((row, token), flat.new_tensor(-torch.inf).float())
        found.append(left.logsumexp(-1) - norms[index])
    values: list[float] = torch.cat(found).tolist()
    return values


def _pairs(pairs: Sequence[tuple[int, int]], device: torch.device) -> tuple[torch.Tensor, ...]:
    return torch.tensor(pairs, dtype=torch.long, device=device).view(-1, 2).unbind(1)


def _slices(
    flat: torch.Tensor, places: Sequence[int], at: torch.Tensor, count: int
) -> Iterator[torch.Tensor]:
    whole = len(places) == len(flat)  # then nothing need be copied
    for begin in range(0, len(places), count):
        part = slice(begin, begin + count)
        yield (flat[part] if whole else flat[at[part]]).float()
