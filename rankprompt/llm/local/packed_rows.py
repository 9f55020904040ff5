"""Short prompts that share a start run in one row with it: nothing is padded, copied or run twice.

A prompt sees its own tokens and the start's, by a mask of the attention. That pays where no later
prompt has the same start, as in a search over prompts, and where a row stays short: attention costs
the square of its length, whatever the mask leaves out.
"""

import logging
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import torch

from rankprompt.llm.base import Answer, Request, Usage
from rankprompt.llm.local.batches import read_options
from rankprompt.llm.local.encoding import Encoded

__all__ = ["Packing", "packing_of"]

log = logging.getLogger("rankprompt")

# Beyond it, attention costs more on a CPU than a run of the start alone, copies and padding.
LONGEST = 512
# Groups join in a row up to here: weights are read once for them, but attention grows.
TOGETHER = 256


class Packing:
    """Runs prompts that share starts as one row.

    Args:
        model: decoder-only, tried by ``packing_of``.
    """

    def __init__(self, model: Any) -> None:
        self._model = model

    def plan(
        self, requests: Sequence[Request], encoded: Mapping[Request, Encoded]
    ) -> tuple[list[list[int]], list[int]]:
        """Finds the requests that make short rows together; deterministic.

        Returns:
            Batches of them, and what is left; as places in ``requests``, each place once.
        """
        groups: dict[tuple[int, ...], list[int]] = {}
        for place, request in enumerate(requests):
            groups.setdefault(encoded[request].start, []).append(place)
        batches: list[list[int]] = []
        left: list[int] = []
        room = 0
        for start, places in groups.items():
            asked = [requests[place] for place in places]
            size = len(start) + sum(_beyond(encoded[one]) for one in asked)
            scored = all(one.options for one in asked)
            if not start or not scored or len(places) == 1 or size > LONGEST:
                left += places
                continue
            if size > room:
                batches.append([])
                room = TOGETHER
            batches[-1] += places
            room -= size
        return batches, sorted(left)

    def score(self, encoded: Sequence[Encoded]) -> tuple[list[Answer], Usage]:
        """Answers one of the batches, in the same order."""
        rows = [row for one in encoded for row in one.rows]
        width = 1 + max(len(row.stem) for row in rows)
        ids: list[int] = []
        places: list[int] = []
        groups: list[int] = []
        parts: list[int] = []  # of a start, -1
        read: list[int] = []
        reused = part = 0

        def add(tokens: Sequence[int], first: int, group: int, part: int) -> None:
            ids.extend(tokens)
            places.extend(range(first, first + len(tokens)))
            groups.extend([group] * len(tokens))
            parts.extend([part] * len(tokens))

        for group, (start, members) in enumerate(groupby(encoded, lambda one: one.start)):
            add(start, 0, group, -1)
            first = part
            for one in members:
                for row in one.rows:
                    add([*one.context[len(start) :], *row.stem], len(start), group, part)
                    # A short row's first places are others', and are not looked at.
                    read += [max(0, len(ids) - back) for back in range(width, 0, -1)]
                    part += 1
            reused += (part - first - 1) * len(start)
        device = self._model.device
        logits = self._model(
            input_ids=torch.tensor([ids], device=device),
            attention_mask=self._mask(groups, parts),
            position_ids=torch.tensor([places], device=device),
            logits_to_keep=torch.tensor(read, device=device),
            use_cache=False,
        ).logits
        firsts = [width - 1 - len(row.stem) for row in rows]
        answers = read_options(encoded, logits.view(len(rows), width, -1), firsts)
        return answers, Usage(len(ids), 0, reused)

    def _mask(self, groups: Sequence[int], parts: Sequence[int]) -> torch.Tensor:
        """What is added to the attention: [1, 1, tokens, tokens], 0 for what a token sees."""
        group, part = (torch.tensor(one, device=self._model.device) for one in (groups, parts))
        own = (part[:, None] == part) | (part == -1)
        seen = (own & (group[:, None] == group)).tril()
        dtype = self._model.dtype
        mask = torch.zeros(seen.shape, dtype=dtype, device=seen.device)
        return mask.masked_fill(~seen, torch.finfo(dtype).min)[None, None]


def _beyond(one: Encoded) -> int:
    """The tokens of a request's rows beyond its start."""
    return sum(len(one.context) - len(one.start) + len(row.stem) for row in one.rows)


def packing_of(model: Any) -> Packing | None:
    """Rows of many prompts for a model, if it heeds such a mask.

    Positions or masks of its own would make a wrong answer, silently. So it is tried, on a few
    tokens.

    Args:
        model: decoder-only, and able to go on from kept starts (``prefixes_of``).
    """
    known = model.config.get_text_config().vocab_size - 1
    start, ends = [2, 3, 4], ([5, 6], [7, 8])
    packed = torch.tensor([[*start, *ends[0], *ends[1]]], device=model.device).clamp(max=known)
    alone = torch.tensor([[*start, *ends[1]]], device=model.device).clamp(max=known)
    found = Packing(model)
    try:
        with torch.inference_mode():
            whole = model(input_ids=alone).logits[0, -1]
            parts = model(
                input_ids=packed,
                attention_mask=found._mask([0] * 7, [-1, -1, -1, 0, 0, 1, 1]),
                position_ids=torch.tensor([[0, 1, 2, 3, 4, 3, 4]], device=model.device),
                logits_to_keep=torch.tensor([6], device=model.device),
                use_cache=False,
            ).logits[0, -1]
    except (TypeError, ValueError, RuntimeError, AttributeError, IndexError) as error:
        log.debug("no rows of many prompts with this model: %s", error)
        return None
    close = torch.allclose(whole, parts, rtol=0.05, atol=0.05 * float(whole.float().std()))
    return found if close else None
