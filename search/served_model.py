"""A model behind a server as a search asks it: in batches, as a model on this machine."""

from collections.abc import Callable, Sequence

from rankprompt.journal.cached_model import Runner
from rankprompt.journal.call_limit import CallLimit
from rankprompt.journal.costs import Costs
from rankprompt.llm.base import Answer, AsyncLanguageModel, Request, Usage
from rankprompt.rankers.driver import gather_or_cancel

__all__ = ["ServedModel"]

# Calls of a batch, for each that may be in flight: the more, the less the slowest call of a batch
# holds up; a process that is killed loses the answers of one batch.
_CALLS = 8


class ServedModel:
    """Answers batches of requests by a server, with many calls in flight.

    Args:
        model: behind the server, opened.
        runner: runs the calls.
        calls: limits the calls in flight.
        concurrency: the most of them.

    Attributes:
        record: called with the costs of each batch, once it is answered.
    """

    def __init__(
        self,
        model: AsyncLanguageModel,
        runner: Runner,
        calls: CallLimit,
        concurrency: int,
    ) -> None:
        self._model, self._runner, self._calls = model, runner, calls
        self._size = _CALLS * concurrency
        self.record: Callable[[Costs], None] = lambda _: None
        self.length, self.truncate, self.escape = model.length, model.truncate, model.escape

    @property
    def name(self) -> str:
        """The model's name at the server."""
        return self._model.name

    @property
    def fingerprint(self) -> str:
        """The server's model, as far as a client can tell."""
        return self._model.fingerprint

    @property
    def context_length(self) -> int:
        """The maximum length of prompt and answer together, in tokens."""
        return self._model.context_length

    @property
    def listed(self) -> tuple[str, ...]:
        """The tokens that the server listed at the last choice; empty where it lists none."""
        listed: tuple[str, ...] = getattr(self._model, "listed", ())
        return listed

    def plan(self, requests: Sequence[Request]) -> list[list[int]]:
        """Splits requests into batches; similar prompts are near, for the server's prefix cache."""
        order = sorted(range(len(requests)), key=lambda index: requests[index].prompt)
        return [order[start : start + self._size] for start in range(0, len(order), self._size)]

    def answer(self, requests: Sequence[Request]) -> tuple[list[Answer], Usage]:
        """Answers one batch, in the same order.

        Raises:
            ModelError: the server cannot be reached, refuses, or cannot answer this kind; the other
                calls are cancelled.
        """
        done = self._runner.run(gather_or_cancel(map(self._ask, requests)))
        usage = Usage(*map(sum, zip(*(one for _, one in done), strict=True)))
        costs = Costs()
        costs.add(len(requests), usage, 0.0)
        self.record(costs)
        return [answer for answer, _ in done], usage

    async def _ask(self, request: Request) -> tuple[Answer, Usage]:
        async with self._calls.turn():
            return await self._model.answer(request)
