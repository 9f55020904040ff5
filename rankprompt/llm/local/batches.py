"""Plans batches of requests, pads them, and reads answers from logits."""

from collections.abc import Mapping, Sequence

import torch

from rankprompt.llm.base import Answer, Request, Usage
from rankprompt.llm.local.encoding import EncodedRequest

__all__ = ["pad_rows", "plan_batches", "read_options"]

# Copying this many tokens of a cached prefix into a batch costs about as much as running one.
_COPIES = 8


def plan_batches(
    requests: Sequence[Request],
    encoded: Mapping[Request, EncodedRequest],
    batch_tokens: int,
    prefix_tokens: int | None,
    max_padding: int | None = None,
) -> list[list[int]]:
    """Splits requests into batches of similar length, longest first; deterministic.

    Requests with the same prefix stay near each other: they are first split into groups whose
    prefixes fit into the cache together, and each group then into batches.

    Args:
        requests: the requests.
        encoded: the tokens of each request.
        batch_tokens: maximum padded tokens of a batch (a longer request is a batch of its own).
        prefix_tokens: how many tokens the prefixes of a group may have; None if none are cached.
        max_padding: maximum padding of a batch of scored requests, in tokens; None for no limit.

    Returns:
        Batches of indices into ``requests``, each index once.
    """
    groups = [list(range(len(requests)))]
    if prefix_tokens is not None:
        groups = _groups(requests, encoded, prefix_tokens)
    split = (_batches(requests, encoded, one, batch_tokens, max_padding) for one in groups)
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
    batch_tokens: int,
    max_padding: int | None,
) -> list[list[int]]:
    # Tokens of a request's longest row that no cached prefix has.
    lengths = {
        index: encoded[requests[index]].length - len(encoded[requests[index]].start)
        for index in indices
    }
    batches: list[list[int]] = []
    rows = written = longest = copied = padding = 0
    for index in sorted(indices, key=lambda i: (not requests[i].options, -lengths[i], i)):
        request = requests[index]
        start, new_rows = len(encoded[request].start), max(1, len(encoded[request].rows))
        same_kind = batches and bool(request.options) == bool(requests[batches[-1][0]].options)
        width = longest + max(written, request.max_tokens) + max(copied, start) // _COPIES
        padded = padding + new_rows * (longest - lengths[index])
        wasteful = request.options and max_padding is not None and padded > max_padding
        if not same_kind or wasteful or (rows + new_rows) * width > batch_tokens:
            batches.append([])
            rows = written = copied = padded = 0
            longest = lengths[index]
        batches[-1].append(index)
        rows += new_rows
        padding = padded
        written, copied = max(written, request.max_tokens), max(copied, start)
    return batches


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


def read_options(
    encoded: Sequence[EncodedRequest], logits: torch.Tensor, starts: Sequence[int]
) -> list[Answer]:
    """Reads the options' log-likelihoods from logits.

    Args:
        encoded: the requests, whose rows are the rows of ``logits``, in order.
        logits: [rows, positions, vocabulary].
        starts: for each row, the position whose logits predict the first token after the context.
    """
    answers = []
    index = 0
    for request in encoded:
        loglikelihoods = [0.0] * len(request.counts)
        for row in request.rows:
            start = starts[index]
            # [stem + 1, vocabulary]
            scores = logits[index, start : start + len(row.stem) + 1].float()
            norms = scores.logsumexp(-1)
            stem = sum(
                float(scores[position, token] - norms[position])
                for position, token in enumerate(row.stem)
            )
            for option, token in row.lasts:
                loglikelihoods[option] += stem + float(scores[-1, token] - norms[-1])
            for option, length, tokens in row.stops:
                others = scores[length].index_fill(
                    0, torch.tensor(tokens, device=scores.device), -torch.inf
                )
                loglikelihoods[option] += float(others.logsumexp(-1) - norms[length])
            index += 1
        answers.append(Answer(tuple(loglikelihoods), request.counts))
    return answers
