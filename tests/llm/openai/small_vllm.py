"""What servers answer about tokens, and vLLM and SGLang to a choice, from a tiny model.

vLLM's replies are those of version 0.32, which was tried; SGLang's are after its documentation.
"""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from tests.servers.protocol import Reply, reply

__all__ = ["CHATML", "SmallServer"]

Body = dict[str, Any]
CHATML = (
    "{% for message in messages %}<s>{{ message.role }}\n{{ message.content }}</s>\n"
    "{% endfor %}{% if add_generation_prompt %}<s>assistant\n{% endif %}"
)


class SmallServer:
    """Answers as a server does.

    Args:
        tokenizer: byte-level, with a chat template.
        form: "vllm", "vllm, no strings", "vllm, likeliest" (a version that cannot be asked for
            tokens and lists the three likeliest), "sglang", "llama.cpp", "tgi", or "" for no
            tokens.
        model: scores the tokens that are asked for; None for a server that ignores which ones,
            and always says A.
        context: the model's context length that vLLM reports.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        form: str = "vllm",
        *,
        model: PreTrainedModel | None = None,
        context: int = 99,
    ) -> None:
        self._tokenizer, self._form, self._model = tokenizer, form, model
        self._context = context
        self.bodies: list[tuple[str, Body]] = []

    def __call__(self, path: str, body: Body) -> Body | Reply:
        self.bodies.append((path, body))
        if path == "/tokenize" and self._form:
            return self._tokenize(body)
        if path == "/detokenize" and self._form.startswith("vllm"):
            return {"prompt": self._tokenizer.decode(body["tokens"])}
        if path == "/detokenize" and self._form == "sglang":
            skips = body.get("skip_special_tokens", True)
            return {"text": self._tokenizer.decode(body["tokens"], skip_special_tokens=skips)}
        if path == "/generate" and self._form == "sglang":
            return self._generate(body)
        if path in ("/v1/chat/completions", "/v1/completions"):
            return self._choose(body)
        return reply({"detail": "Not Found"}, 404)

    def asked(self, path: str) -> list[Body]:
        """The bodies that came to a path."""
        return [body for came, body in self.bodies if came == path]

    def _render(self, body: Body) -> list[int]:
        chat = self._tokenizer.apply_chat_template(
            body["messages"],
            tokenize=False,
            add_generation_prompt=body.get("add_generation_prompt", True),
            continue_final_message=body.get("continue_final_message", False),
        )
        return self._ids(str(chat))

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False).input_ids)

    def _tokenize(self, body: Body) -> Body | Reply:
        if self._form.startswith("vllm") or self._form == "sglang":
            ids = self._render(body) if "messages" in body else self._ids(body["prompt"])
            found: Body = {"count": len(ids), "max_model_len": self._context, "tokens": ids}
            if body.get("return_token_strs") and self._form == "vllm":
                found["token_strs"] = self._tokenizer.convert_ids_to_tokens(ids)
            return found
        if self._form == "llama.cpp":
            return {"tokens": [self._piece(one) for one in self._ids(body["content"])]}
        encoding = self._tokenizer(body["inputs"], return_offsets_mapping=True)
        spans = zip(encoding["input_ids"], encoding["offset_mapping"], strict=True)
        start = {"id": 2, "text": "<s>", "start": 0, "stop": 0}
        return reply(
            [start, *({"id": one, "text": "", "start": a, "stop": b} for one, (a, b) in spans)]
        )

    def _piece(self, token: int) -> Body:
        table = {symbol: byte for byte, symbol in _byte_symbols().items()}
        content = bytes(table[symbol] for symbol in self._tokenizer.convert_ids_to_tokens(token))
        try:
            return {"id": token, "piece": content.decode()}
        except UnicodeDecodeError:
            return {"id": token, "piece": list(content)}

    def _logprobs(self, ids: Sequence[int]) -> list[float]:
        assert self._model is not None
        with torch.inference_mode():
            logits = self._model(input_ids=torch.tensor([list(ids)])).logits
        logprobs: list[float] = logits[0, -1].log_softmax(-1).tolist()
        return logprobs

    def _choose(self, body: Body) -> Body:
        usage = {"prompt_tokens": 10, "completion_tokens": 1}
        entries = [("A", -0.5), ("B", -1.5)]
        if self._model is not None:
            chat = "messages" in body
            logprobs = self._logprobs(self._render(body) if chat else body["prompt"])
            asked: Sequence[int] = body.get("logprob_token_ids", ())
            allowed: Sequence[int] = body.get("allowed_token_ids") or asked
            generated = max(allowed, key=logprobs.__getitem__)
            if self._form == "vllm, likeliest":
                asked = sorted(range(len(logprobs)), key=lambda one: -logprobs[one])[:3]
            entries = [(f"token_id:{one}", logprobs[one]) for one in (generated, *asked)]
            if not chat:
                listing: Body = {
                    "tokens": [entries[0][0]],
                    "token_logprobs": [entries[0][1]],
                    "top_logprobs": [dict(entries)],
                }
                return {"choices": [{"text": "?", "logprobs": listing}], "usage": usage}
        tops = [{"token": token, "logprob": value} for token, value in entries]
        choice: Body = {
            "message": {"role": "assistant", "content": "A"},
            "finish_reason": "stop",
            "logprobs": {"content": [{**tops[0], "top_logprobs": tops}]},
        }
        return {"choices": [choice], "usage": usage}

    def _generate(self, body: Body) -> Body:
        logprobs = self._logprobs(body["input_ids"])
        asked = [[logprobs[one], one, None] for one in body["token_ids_logprob"]]
        meta = {"prompt_tokens": 10, "completion_tokens": 1, "output_token_ids_logprobs": [asked]}
        return {"text": "?", "output_ids": [0], "meta_info": meta}


def _byte_symbols() -> dict[int, str]:
    """The characters by which a byte-level tokenizer writes bytes (GPT-2's table)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return {byte: chr(byte) for byte in plain} | {
        byte: chr(256 + number) for number, byte in enumerate(others)
    }
