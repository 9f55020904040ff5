"""Several threads that use one model's tokenizer while another has requests answered."""

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

from rankprompt.llm.base import Answer, Request
from tests.llm import tiny

__all__ = ["answers_of", "check_threads", "readings"]

_THREADS = 8
# Of each thread, about as long as one another.
_READINGS, _ANSWERS = 3, 2
_TEXTS = [
    *(" ".join(tiny.SENTENCES)[start : start + 60] for start in range(0, 300, 60)),
    "", " ", "<s>user: a spelt </s> token <|im_end|>", "😀 naïve e\u0301",
]  # fmt: skip


def readings(model: Any, requests: Sequence[Request]) -> list[object]:
    """All that threads read beside answers: lengths, cut and escaped texts, what models are."""
    return [
        model.fingerprint,
        model.context_length,
        [model.length(request) for request in requests],
        [model.truncate(text, tokens) for text in _TEXTS for tokens in (1, 9)],
        [model.escape(text) for text in _TEXTS],
    ]


def answers_of(model: Any, requests: Sequence[Request]) -> list[Answer]:
    found: dict[int, Answer] = {}
    for batch in model.plan(requests):
        answers, _ = model.answer([requests[index] for index in batch])
        found |= dict(zip(batch, answers, strict=True))
    return [found[index] for index in range(len(requests))]


def check_threads(model: Any, alone: Any, requests: Sequence[Request]) -> None:
    """Checks that eight threads beside an answering one read what one thread alone does.

    Args:
        model: The model to use from threads, ideally before anything else.
        alone: The same model, to use from one thread.
        requests: The requests to count and to have answered.
    """
    expected = readings(alone, requests), answers_of(alone, requests)
    together = Barrier(_THREADS + 1)

    def read() -> list[list[object]]:
        together.wait()
        return [readings(model, requests) for _ in range(_READINGS)]

    def answer() -> list[list[Answer]]:
        together.wait()
        return [answers_of(model, requests) for _ in range(_ANSWERS)]

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)  # so that threads meet wherever they can
    try:
        with ThreadPoolExecutor(_THREADS + 1) as pool:
            readers = [pool.submit(read) for _ in range(_THREADS)]
            answering = pool.submit(answer)
            assert answering.result() == [expected[1]] * _ANSWERS
            for reader in readers:
                assert all(one == expected[0] for one in reader.result())
    finally:
        sys.setswitchinterval(interval)
