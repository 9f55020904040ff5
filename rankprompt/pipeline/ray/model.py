"""A language model whose batches are answered by the workers of a Ray cluster."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from itertools import groupby
from typing import Any, cast

from rankprompt.errors import ModelError, RankpromptError
from rankprompt.llm.base import Answer, Request, Usage
from rankprompt.pipeline.ray.cluster import RayCluster
from rankprompt.pipeline.ray.pool import DEATHS, Pool
from rankprompt.pipeline.ray.worker import ModelHolder, WorkerConfig, error_as_value

__all__ = ["ModelWorker", "RayModel"]

# Batches of a worker between two commits to the journal: the more, the less the workers wait for
# the slowest of them; a killed driver loses as many.
_BATCHES = 4
_KEPT = 1 << 14  # texts whose cut form is kept: a search cuts the same passages again and again


class ModelWorker(ModelHolder):
    """Holds one model, and answers batches of chunks that it plans as the driver's model would.

    A model may compute what the requests of a chunk share when it plans them, so each worker plans
    the whole chunk: then a batch has the same answers on any of them.
    """

    _planned: tuple[int, list[Request], list[list[int]]] = (0, [], [])

    def plan(self, number: int, chunk: Sequence[Any]) -> list[list[int]] | RankpromptError:
        """Plans a chunk.

        Args:
            number: of the chunk, from 1.
            chunk: the reference to its requests, in a list, so that they are sent only once.
        """
        return error_as_value(lambda: self._plan(number, chunk)[1])

    def answer(
        self, number: int, chunk: Sequence[Any], indices: Sequence[int]
    ) -> tuple[list[Answer], Usage] | RankpromptError:
        """Answers requests of a chunk, those of one batch."""

        def answer() -> tuple[list[Answer], Usage]:
            requests, _ = self._plan(number, chunk)
            return self.model.answer([requests[index] for index in indices])

        return error_as_value(answer)

    def call(self, method: str, *arguments: Any) -> Any:
        """Counts, cuts or escapes, as the model's method does."""
        return error_as_value(lambda: getattr(self.model, method)(*arguments))

    def _plan(self, number: int, chunk: Sequence[Any]) -> tuple[list[Request], list[list[int]]]:
        if self._planned[0] != number:
            requests = import_module("ray").get(chunk[0])
            self._planned = number, requests, self.model.plan(requests)
        return self._planned[1:]


@dataclass
class _Work:
    """A call of a worker, and how often a worker has died over it."""

    method: str
    arguments: tuple[Any, ...]
    deaths: int = 0


class RayModel(Pool[_Work]):
    """A language model that answers in batches, several at a time, as a context.

    The batches are those that one process would form of the same requests, and so are the answers.
    The driver keeps the journal.

    Args:
        config: what each worker must know.
        cluster: where the workers run.
    """

    def __init__(self, config: WorkerConfig, cluster: RayCluster) -> None:
        super().__init__(config, cluster)
        self._again: deque[_Work] = deque()
        self._number = 0
        self._chunk: list[Any] = []
        # By request of the latest chunk: the number of its batch, its place there, its index.
        self._places: dict[Request, tuple[int, int, int]] = {}
        self.truncate = lru_cache(_KEPT)(self._truncate)

    @property
    def name(self) -> str:
        """The name that the user gave."""
        return self.model.name

    @property
    def fingerprint(self) -> str:
        """The workers' model's."""
        return self.model.fingerprint

    @property
    def context_length(self) -> int:
        """The maximum length of prompt and continuation together, in tokens."""
        length = self.model.context_length
        assert length is not None, "a worker has loaded the model"
        return length

    def plan(self, requests: Sequence[Request]) -> list[list[int]]:
        """Splits requests into groups of batches that the workers answer at a time."""
        self._number += 1
        self._chunk = [self._ray.put(list(requests))]
        # All at a time: what a worker has not planned when it is asked, it plans then.
        work = [_Work("plan", (self._number, self._chunk)) for _ in self._idle or [0]]
        batches: list[list[int]] = self._do(work)[0]
        self._places = {
            requests[index]: (number, place, index)
            for number, batch in enumerate(batches)
            for place, index in enumerate(batch)
        }
        size = _BATCHES * self._cluster.workers
        return [
            [index for batch in batches[start : start + size] for index in batch]
            for start in range(0, len(batches), size)
        ]

    def answer(self, requests: Sequence[Request]) -> tuple[list[Answer], Usage]:
        """Answers one group, in the same order.

        Raises:
            ModelError: a request exceeds the context length, or workers keep dying.
        """
        if not all(request in self._places for request in requests):
            self.plan(requests)
        positions = sorted(range(len(requests)), key=lambda place: self._places[requests[place]])
        batches = [
            list(batch)
            for _, batch in groupby(positions, key=lambda place: self._places[requests[place]][0])
        ]
        done = self._do(
            [
                _Work("answer", (self._number, self._chunk, [
                    self._places[requests[place]][2] for place in batch
                ]))
                for batch in batches
            ]
        )  # fmt: skip
        answers: dict[int, Answer] = {}
        for batch, (answered, _) in zip(batches, done, strict=True):
            answers |= zip(batch, answered, strict=True)
        usage = Usage(*map(sum, zip(*(one for _, one in done), strict=True)))
        return [answers[place] for place in range(len(requests))], usage

    def length(self, request: Request) -> int:
        """Counts a request's tokens: prompt, chat template and the longest answer together."""
        return cast(int, self._call("length", request))

    def escape(self, text: str) -> str:
        """Rewrites untrusted text so that the tokenizer reads no special token in it."""
        return cast(str, self._call("escape", text))

    def _truncate(self, text: str, tokens: int) -> str:
        """Returns the longest prefix of whole characters with at most ``tokens`` tokens."""
        return cast(str, self._call("truncate", text, tokens))

    def _call(self, method: str, *arguments: Any) -> Any:
        return self._do([_Work("call", (method, *arguments))])[0]

    def _do(self, work: Sequence[_Work]) -> list[Any]:
        """Has the workers do all of it, and gives the results in its order."""
        waiting, results = deque(work), dict[int, Any]()
        while len(results) < len(work):
            while self._idle and (self._again or waiting):
                one = (self._again or waiting).popleft()
                self._send(self._idle.pop(), one, one.method, *one.arguments)
            for one, result in self._collect():
                results[id(one)] = result
        return [results[id(one)] for one in work]

    def _make(self, slot: int) -> Any:
        del slot
        return (
            self._ray.remote(ModelWorker)
            .options(**self._options)
            .remote(self._config, self._device)
        )

    def _put_back(self, slot: int, task: _Work, reason: str) -> None:
        del slot
        task.deaths += 1
        if task.deaths >= DEATHS:
            raise ModelError(
                f"{DEATHS} workers died over the same prompts, one after the other ({reason}), "
                "often for want of memory: try fewer `workers` or a smaller `batch_tokens`; all "
                "that was answered is kept in the journal"
            )
        self._again.append(task)
