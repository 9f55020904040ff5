"""Plans the batches of a model on its device, and plans them anew once memory runs out."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import torch

from rankprompt.errors import ModelError
from rankprompt.llm.base import Request, Usage
from rankprompt.llm.local.batches import BatchLimits, padded_tokens, plan_batches
from rankprompt.llm.local.encoding import EncodedRequest
from rankprompt.llm.local.level_starts import LevelStarts
from rankprompt.llm.local.limits import DeviceLimits
from rankprompt.llm.local.packed_rows import RowPacker
from rankprompt.llm.local.prefix_cache import PrefixCache
from rankprompt.llm.local.preparation import is_out_of_memory

__all__ = ["Planner"]

log = logging.getLogger("rankprompt")

T = TypeVar("T")

# Where no prefix is kept for the next batch, requests are planned together whose prefixes have this
# part of a batch's tokens: those that share one then come into few batches.
_PREFIXES_OF_BATCH = 8


class Planner:
    """Plans batches within the limits of a device.

    Args:
        name: the model's, for messages.
        limits: the device's.
        vocabulary: the number of logits of a position.
        cache: of shared prefixes, if the model can go on from them.
        levels: computes the prefixes of one batch, where the device needs that.
        packer: scores batches as packed rows, where that is possible.

    Attributes:
        batch_tokens: maximum padded tokens of a batch; lowered once memory runs out.
    """

    def __init__(
        self,
        name: str,
        limits: DeviceLimits,
        *,
        vocabulary: int,
        cache: PrefixCache | None,
        levels: LevelStarts | None,
        packer: RowPacker | None,
    ) -> None:
        self._name, self._limits = name, limits
        self._logits = limits.logit_bytes // (4 * vocabulary)
        self._cache, self._levels, self._packer = cache, levels, packer
        self.batch_tokens = limits.tokens

    def plan(
        self, requests: Sequence[Request], encoded: Mapping[Request, EncodedRequest]
    ) -> list[list[int]]:
        """Splits requests into batches; deterministic."""
        if self._packer is None:
            return self._split(requests, encoded)
        scored = [index for index, request in enumerate(requests) if request.options]
        others = [index for index, request in enumerate(requests) if not request.options]
        packed = self._packer.plan(
            [encoded[requests[index]] for index in scored], self.batch_tokens, self._logits
        )
        padded = self._split([requests[index] for index in others], encoded)
        batches = [[scored[index] for index in batch] for batch in packed]
        return batches + [[others[index] for index in batch] for batch in padded]

    def run(
        self,
        answer: Callable[[Sequence[Request], Sequence[EncodedRequest]], tuple[list[T], Usage]],
        requests: Sequence[Request],
        encoded: Sequence[EncodedRequest],
        *,
        scores: bool = False,
    ) -> tuple[list[T], Usage]:
        """Answers a batch, in the same order; ``scores`` are packed where that is possible.

        Where memory runs out, the size that failed is halved for good, and what is left of the
        batch is planned anew, as is every later batch that was planned before.

        Raises:
            ModelError: there is no memory for a single request.
        """
        by_request = dict(zip(requests, encoded, strict=True))
        parts = [list(range(len(requests)))]
        packer = self._packer if scores else None
        split = self.plan if packer else self._split

        def tokens(some: Sequence[Request]) -> int:
            these = [by_request[request] for request in some]
            return packer.tokens(these) if packer else padded_tokens(some, these)

        if self.batch_tokens < tokens(requests):
            parts = split(requests, by_request)
        answers: dict[int, T] = {}
        total = Usage(0, 0)
        while parts:
            part = [requests[index] for index in parts[0]]
            of_part = [by_request[request] for request in part]
            found = _unless_out_of_memory(lambda: answer(part, of_part))  # noqa: B023
            if found:
                answers |= zip(parts.pop(0), found[0], strict=True)
                total = Usage(*map(sum, zip(total, found[1], strict=True)))
            else:
                self._lower(len(part), tokens(part))
                left = [index for one in parts for index in one]
                again = split([requests[index] for index in left], by_request)
                parts = [[left[index] for index in one] for one in again]
        return [answers[index] for index in range(len(requests))], total

    def _lower(self, requests: int, tokens: int) -> None:
        if requests == 1:
            raise ModelError(
                f"{self._name} has no memory for a single prompt; lower `passage_tokens`"
            )
        self.batch_tokens = max(1, tokens // 2)
        log.warning("out of memory; continuing with %d tokens a batch", self.batch_tokens)
        if self._levels:
            self._levels.pass_tokens = self.batch_tokens
        if self._cache:
            self._cache.clear()
        if torch.accelerator.is_available():
            torch.accelerator.empty_cache()

    def _split(
        self, requests: Sequence[Request], encoded: Mapping[Request, EncodedRequest]
    ) -> list[list[int]]:
        limits = BatchLimits(
            self.batch_tokens,
            prefix_tokens=self._cache.capacity // 2 if self._cache else None,
            # Where a pass is slow to start, padding costs less than another pass.
            padding=None if self._levels else self._limits.padding,
            logits=self._logits,
        )
        if not (self._levels and self._cache):
            return plan_batches(requests, encoded, limits)
        few = min(self._cache.capacity // 2, self.batch_tokens // _PREFIXES_OF_BATCH)
        limits = limits._replace(prefix_tokens=few, states=self._cache.capacity)
        batches: list[list[int]] = []
        whole: list[int] = []
        for batch in plan_batches(requests, encoded, limits):
            some = [requests[index] for index in batch]
            chosen = self._levels.chosen([encoded[request] for request in some])
            if not any(one.bounds for one in chosen):
                whole += batch
                continue
            # With fewer prefixes than were planned, the rows are longer.
            again = dict(zip(some, chosen, strict=True))
            parts = plan_batches(some, again, limits._replace(prefix_tokens=None))
            batches += ([batch[index] for index in part] for part in parts)
        whole.sort()
        some = [requests[index] for index in whole]
        plain = {request: encoded[request]._replace(bounds=()) for request in some}
        parts = plan_batches(some, plain, limits._replace(prefix_tokens=None))
        return [*batches, *([whole[index] for index in part] for part in parts)]


def _unless_out_of_memory(
    answer: Callable[[], tuple[list[T], Usage]],
) -> tuple[list[T], Usage] | None:
    """What it returns; None where memory ran out, whose traceback would keep the batch's memory."""
    try:
        with torch.inference_mode():
            return answer()
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
    return None
