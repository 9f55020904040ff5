"""Packs short prompts with the same prefix into one row: no padding, no copies, no token run twice.

An attention mask lets each prompt see only the prefix and its own tokens. That pays if no later
prompt has the same prefix, as in a search over prompts, and if rows stay short: attention costs the
square of a row's length, whatever is masked.
"""

import logging
from collections.abc import Mapping, Sequence
from itertools import groupby

import torch
from transformers import PreTrainedModel

from rankprompt.llm.base import Answer, Request, Usage
from rankprompt.llm.local.encoding import EncodedRequest
from rankprompt.llm.local.option_logits import read_options
from rankprompt.llm.local.trials import Trial, agrees, trial

__all__ = ["LONGEST", "RowPacker", "row_packer_for"]

log = logging.getLogger("rankprompt")

# In longer rows, attention costs more on a CPU than running the prefix alone, copies and padding.
LONGEST = 512
# Prefixes share a row up to this length: the weights are read once for them, but attention grows.
SHARED = 256


class RowPacker:
    """Runs prompts with the same prefix as one row of a model that ``row_packer_for`` tested."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model

    def plan(
        self, requests: Sequence[Request], encoded: Mapping[Request, EncodedRequest]
    ) -> tuple[list[list[int]], list[int]]:
        """Finds the requests that make short rows together; deterministic.

        Returns:
            Batches of requests to pack, and the other requests; as indices into ``requests``, each
            index once.
        """
        groups: dict[tuple[int, ...], list[int]] = {}
        for index, request in enumerate(requests):
            groups.setdefault(encoded[request].start, []).append(index)
        batches: list[list[int]] = []
        others: list[int] = []
        room = 0
        for start, indices in groups.items():
            members = [requests[index] for index in indices]
            size = len(start) + sum(_tokens_after_start(encoded[member]) for member in members)
            scored = all(member.options for member in members)
            if not start or not scored or len(indices) == 1 or size > LONGEST:
                others += indices
                continue
            if size > room:
                batches.append([])
                room = SHARED
            batches[-1] += indices
            room -= size
        return batches, sorted(others)

    def score(self, encoded: Sequence[EncodedRequest]) -> tuple[list[Answer], Usage]:
        """Answers one of the planned batches, in the same order."""
        rows = [row for request in encoded for row in request.rows]
        width = 1 + max(len(row.stem) for row in rows)
        ids: list[int] = []
        positions: list[int] = []
        groups: list[int] = []  # which prefix a token belongs to
        prompts: list[int] = []  # which prompt a token belongs to; -1 for a prefix
        read: list[int] = []
        reused = prompt = 0

        def add(tokens: Sequence[int], first: int, group: int, prompt: int) -> None:
            ids.extend(tokens)
            positions.extend(range(first, first + len(tokens)))
            groups.extend([group] * len(tokens))
            prompts.extend([prompt] * len(tokens))

        for group, (start, members) in enumerate(groupby(encoded, lambda one: one.start)):
            add(start, 0, group, -1)
            first = prompt
            for member in members:
                for row in member.rows:
                    add([*member.context[len(start) :], *row.stem], len(start), group, prompt)
                    # The first positions of a short row belong to others and are not used.
                    read += [max(0, len(ids) - back) for back in range(width, 0, -1)]
                    prompt += 1
            reused += (prompt - first - 1) * len(start)
        device = self._model.device
        logits = self._model(
            input_ids=torch.tensor([ids], device=device),
            attention_mask=_attention_mask(self._model, groups, prompts),
            position_ids=torch.tensor([positions], device=device),
            logits_to_keep=torch.tensor(read, device=device),
            use_cache=False,
        ).logits
        firsts = [width - 1 - len(row.stem) for row in rows]
        answers = read_options(encoded, logits.view(len(rows), width, -1), firsts)
        return answers, Usage(len(ids), 0, reused)


def _attention_mask(
    model: PreTrainedModel, groups: Sequence[int], prompts: Sequence[int]
) -> torch.Tensor:
    """Returns what is added to attention scores: [1, 1, tokens, tokens], 0 for a visible token."""
    group, prompt = (torch.tensor(ids, device=model.device) for ids in (groups, prompts))
    own = (prompt[:, None] == prompt) | (prompt == -1)
    visible = (own & (group[:, None] == group)).tril()
    mask = torch.zeros(visible.shape, dtype=model.dtype, device=visible.device)
    return mask.masked_fill(~visible, torch.finfo(model.dtype).min)[None, None]


def _tokens_after_start(request: EncodedRequest) -> int:
    beyond = len(request.context) - len(request.start)
    return sum(beyond + len(row.stem) for row in request.rows)


def row_packer_for(model: PreTrainedModel, tried: Trial | None = None) -> RowPacker | None:
    """Returns a row packer for a decoder-only model with a prefix cache, if it obeys such a mask.

    A model with positions or masks of its own would give wrong answers unnoticed, so it is tried
    on two rows that begin alike.
    """
    (one, other), expected = tried or trial(model)
    shared = next(
        place for place, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]
    )
    ends = one[shared:], other[shared:]
    sizes = shared, *map(len, ends)
    positions = [*range(len(one)), *range(shared, len(other))]
    prompts = [prompt for prompt, size in zip((-1, 0, 1), sizes, strict=True) for _ in range(size)]
    try:
        with torch.inference_mode():
            logits = model(
                input_ids=torch.tensor([[*one[:shared], *ends[0], *ends[1]]], device=model.device),
                attention_mask=_attention_mask(model, [0] * len(prompts), prompts),
                position_ids=torch.tensor([positions], device=model.device),
                logits_to_keep=torch.tensor([len(prompts) - 1], device=model.device),
                use_cache=False,
            ).logits[0, -1]
    except (TypeError, ValueError, RuntimeError, AttributeError, IndexError) as error:
        log.debug("this model cannot run several prompts in a row: %s", error)
        return None
    return RowPacker(model) if agrees(logits, expected[1][-1], model.dtype) else None
