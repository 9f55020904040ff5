"""What a model behind the protocol server says: rules in place of weights, words as tokens."""

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

from rankprompt.llm.base import Answer, Request
from rankprompt.rankers.seeded_random import uniform

__all__ = ["Speaker", "echo_answer", "split"]

_SHOWN = re.compile(r"^(?:Passage )?A: (.*)\n+(?:Passage )?B: (.*)$", re.MULTILINE)
_TOKEN = re.compile(r"\s*\w+|\s*[^\w\s]|\s+")
_FILLERS = [f" filler{number}" for number in range(18)]

Tops = dict[str, float]


class Speaker:
    """Answers chat and completions about the two passages of ``tests.fakes.PROMPT`` or of prp.

    Args:
        prefer: the probability that A is the better; None for an answer that names neither.
        thinks: put a short thought before every answer.
    """

    def __init__(self, prefer: Callable[[str, str], float | None], *, thinks: bool = False) -> None:
        self._prefer, self._thinks = prefer, thinks

    def __call__(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The reply to a call."""
        chat = path.endswith("/chat/completions")
        prompt = body["messages"][-1]["content"] if chat else body["prompt"]
        if body.get("echo"):
            return _echo(prompt)
        limit = body["max_tokens"]
        tokens, tops = self._say(prompt)
        text = "".join(tokens[:limit])
        choice: dict[str, Any] = {
            "index": 0,
            "finish_reason": "length" if len(tokens) > limit else "stop",
        }
        choice |= {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
        if body.get("logprobs"):
            choice["logprobs"] = (_chat_form if chat else _plain_form)(tokens[:limit], tops[:limit])
        return {
            "object": "chat.completion" if chat else "text_completion",
            "choices": [choice],
            "usage": {
                "prompt_tokens": len(split(prompt)),
                "completion_tokens": len(tokens[:limit]),
            },
        }

    def _say(self, prompt: str) -> tuple[list[str], list[Tops]]:
        shown = _SHOWN.search(prompt)
        assert shown, prompt
        preference = self._prefer(shown[1], shown[2])
        said = [] if prompt.endswith("Passage") else ["Passage"]
        if preference is None:
            said = ["Neither", " of", " them", "."]
            tops: list[Tops] = [{one: -0.1} for one in said]
        else:
            tops = [{one: -0.1} for one in said]
            said.append(" A" if preference > 0.5 else " B")
            tops.append({" A": _log(preference), " B": _log(1 - preference)})
        if self._thinks:
            thought = ["<think>", "Passage", " B", "?", "</think>", "\n\n"]
            said, tops = thought + said, [{one: -0.1} for one in thought] + tops
        rare = {one: -40.0 - place for place, one in enumerate(_FILLERS)}
        return said, [{**one, **rare} for one in tops]


def echo_answer(request: Request) -> Answer:
    """What is read off the echo of a request with one option."""
    tokens = split(request.prompt + request.options[0])
    begin = len(request.prompt)
    found = [score for place, token, score in tokens if place + len(token) > begin]
    return Answer((math.fsum(found),), (len(found),))


def split(text: str) -> list[tuple[int, str, float]]:
    """A text's tokens: place, text and log-probability."""
    found = [(one.start(), one[0]) for one in _TOKEN.finditer(text)]
    return [(place, token, -9 * uniform(0, text[:place], token)) for place, token in found]


def _echo(text: str) -> dict[str, Any]:
    tokens = [*split(text), (len(text), " more", -1.0)]
    logprobs = {
        "tokens": [token for _, token, _ in tokens],
        "text_offset": [place for place, _, _ in tokens],
        "token_logprobs": [None, *(score for _, _, score in tokens[1:])],
        "top_logprobs": [None, *({token: score} for _, token, score in tokens[1:])],
    }
    choice = {"text": text + " more", "logprobs": logprobs, "finish_reason": "length"}
    usage = {"prompt_tokens": len(tokens) - 1, "completion_tokens": 1}
    return {"object": "text_completion", "choices": [choice], "usage": usage}


def _chat_form(tokens: Sequence[str], tops: Sequence[Tops]) -> dict[str, Any]:
    def entry(token: str, logprob: float) -> dict[str, Any]:
        return {"token": token, "logprob": logprob, "bytes": list(token.encode())}

    return {
        "content": [
            entry(token, top[token])
            | {"top_logprobs": [entry(one, top[one]) for one in sorted(top, key=lambda x: -top[x])]}
            for token, top in zip(tokens, tops, strict=True)
        ]
    }


def _plain_form(tokens: Sequence[str], tops: Sequence[Tops]) -> dict[str, Any]:
    return {
        "tokens": list(tokens),
        "token_logprobs": [top[token] for token, top in zip(tokens, tops, strict=True)],
        "top_logprobs": list(tops),
        "text_offset": [0] * len(tokens),
    }


def _log(probability: float) -> float:
    return math.log(max(probability, 1e-15))
