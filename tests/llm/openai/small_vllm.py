"""What vLLM, llama.cpp and TGI answer about tokens, and vLLM to a choice, from a tiny model."""

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
        form: "vllm", "vllm, no strings", "llama.cpp", "tgi", or "" for no tokens.
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
        if path == "/v1/chat/completions":
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
        if self._form.startswith("vllm"):
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

    def _choose(self, body: Body) -> Body:
        choice: Body = {
            "message": {"role": "assistant", "content": "A"},
            "finish_reason": "stop",
        }
        tops = [("A", -0.5), ("B", -1.5)]
        if self._model is not None:
            with torch.inference_mode():
                logits = self._model(input_ids=torch.tensor([self._render(body)])).logits
            listed = logits[0, -1].log_softmax(-1).tolist()
            asked: Sequence[int] = body["logprob_token_ids"]
            tops = [(f"token_id:{one}", listed[one]) for one in asked]
        entries = [{"token": token, "logprob": value} for token, value in tops]
        choice["logprobs"] = {"content": [{**entries[0], "top_logprobs": entries}]}
        return {"choices": [choice], "usage": {"prompt_tokens": 10, "completion_tokens": 1}}


def _byte_symbols() -> dict[int, str]:
    """The characters by which a byte-level tokenizer writes bytes (GPT-2's table)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return {byte: chr(byte) for byte in plain} | {
        byte: chr(256 + number) for number, byte in enumerate(others)
    }
