"""What goes into a batch, and what is read off it."""

from collections.abc import Mapping, Sequence

import torch
from transformers import PreTrainedTokenizerBase

from rankprompt.llm.base import Answer, Request, Usage
from rankprompt.llm.local.encoding import Encoded

__all__ = ["pad_rows", "plan_batches", "read_options", "read_texts"]

# Of a shared start that is copied into a batch, so many tokens cost about as much as one to run.
_COPIES = 8


def plan_batches(
    requests: Sequence[Request],
    encoded: Mapping[Request, Encoded],
    batch_tokens: int,
    together: int | None,
    most_padding: int | None = None,
) -> list[list[int]]:
    """Splits requests into batches of alike length, longest first; deterministic.

    Requests with the same start stay near each other: first they are parted into stretches whose
    starts fit into memory together, then each stretch into batches.

    Args:
        requests: what is asked.
        encoded: each of them in tokens.
        batch_tokens: padded tokens a batch, at the most (a longer request stands alone).
        together: tokens of starts that may be kept at a time; None where none are shared.
        most_padding: tokens that a batch of scored requests may waste on padding, about what one
            more batch costs; None where only its size counts.

    Returns:
        Places in ``requests``, batch by batch; each place once.
    """
    whole = [list(range(len(requests)))]
    stretches = whole if together is None else _stretches(requests, encoded, together)
    return [
        batch
        for stretch in stretches
        for batch in _batches(requests, encoded, stretch, batch_tokens, most_padding)
    ]


def _stretches(
    requests: Sequence[Request], encoded: Mapping[Request, Encoded], limit: int
) -> list[list[int]]:
    keyed = sorted((encoded[request].start, place) for place, request in enumerate(requests))
    stretches: list[list[int]] = [[]]
    room = limit
    before: tuple[int, ...] = ()
    for start, place in keyed:
        if start != before:
            room -= len(start)
            before = start
        if room < 0 and stretches[-1]:
            stretches.append([])
            room = limit - len(start)
        stretches[-1].append(place)
    return stretches


def _batches(
    requests: Sequence[Request],
    encoded: Mapping[Request, Encoded],
    places: Sequence[int],
    batch_tokens: int,
    most_padding: int | None,
) -> list[list[int]]:
    def run(place: int) -> int:
        one = encoded[requests[place]]
        return one.length - len(one.start)

    keyed = sorted(places, key=lambda i: (not requests[i].options, -run(i), i))
    batches: list[list[int]] = []
    rows = written = longest = copied = wasted = 0
    for i in keyed:
        request = requests[i]
        start, more = len(encoded[request].start), max(1, len(encoded[request].rows))
        same = batches and bool(request.options) == bool(requests[batches[-1][0]].options)
        width = longest + max(written, request.max_tokens) + max(copied, start) // _COPIES
        padding = more * (longest - run(i))
        wasteful = request.options and most_padding is not None and wasted + padding > most_padding
        if not same or wasteful or (rows + more) * width > batch_tokens:
            batches.append([])
            rows = written = copied = wasted = padding = 0
            longest = run(i)
        batches[-1].append(i)
        rows += more
        wasted += padding
        written, copied = max(written, request.max_tokens), max(copied, start)
    return batches


def pad_rows(
    sequences: Sequence[Sequence[int]], pad: int, device: torch.device, *, right: bool = False
) -> tuple[torch.Tensor, torch.Tensor, Usage]:
    """Puts token sequences into one tensor, padded on the left or the right.

    Returns:
        The tokens and their mask, both [sequences, longest], and what is run.
    """
    longest = max(map(len, sequences))
    ids = torch.full((len(sequences), longest), pad, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, sequence in enumerate(sequences):
        place = slice(0, len(sequence)) if right else slice(longest - len(sequence), longest)
        ids[row, place] = torch.tensor(sequence)
        mask[row, place] = 1
    tokens = sum(map(len, sequences))
    return ids.to(device), mask.to(device), Usage(tokens, ids.numel() - tokens)


def read_options(
    encoded: Sequence[Encoded], logits: torch.Tensor, starts: Sequence[int]
) -> list[Answer]:
    """Reads the options' log-likelihoods off the logits.

    Args:
        encoded: the requests, whose rows stand in order.
        logits: [rows, positions, vocabulary].
        starts: each row's position whose logits predict the first token after the context.
    """
    answers = []
    index = 0
    for one in encoded:
        found = [0.0] * len(one.counts)
        for row in one.rows:
            start = starts[index]
            # [stem + 1, vocabulary]
            scores = logits[index, start : start + len(row.stem) + 1].float()
            norms = scores.logsumexp(-1)
            stem = sum(
                float(scores[place, token] - norms[place]) for place, token in enumerate(row.stem)
            )
            for option, token in row.lasts:
                found[option] = stem + float(scores[-1, token] - norms[-1])
            index += 1
        answers.append(Answer(tuple(found), one.counts))
    return answers


def read_texts(
    requests: Sequence[Request],
    written: Sequence[Sequence[int]],
    tokenizer: PreTrainedTokenizerBase,
    ends: int | list[int] | None,
) -> tuple[list[Answer], int]:
    """Reads texts off what was generated.

    Args:
        requests: what was asked.
        written: each request's tokens, without its prompt's; a batch goes on for its slowest row.
        tokenizer: the model's.
        ends: the tokens at which a text ends.

    Returns:
        The answers, and how many tokens are theirs together, an end token among them.
    """
    marks = ends if isinstance(ends, list) else [ends]
    answers, total = [], 0
    for request, tokens in zip(requests, written, strict=True):
        length = min(request.max_tokens, len(tokens))
        end = next((place for place in range(length) if tokens[place] in marks), length)
        total += min(end + 1, length)
        answers.append(
            Answer(text=str(tokenizer.decode(list(tokens[:end]), skip_special_tokens=True)))
        )
    return answers, total
