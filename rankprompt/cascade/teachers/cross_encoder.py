"""The teacher that reads a query and a window together: a cross-encoder."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock

import numpy as np

from rankprompt.cascade.teachers.base import TeacherConfig
from rankprompt.errors import InputError
from rankprompt.files.home import expand
from rankprompt.llm.encoder_networks import Network, load_network
from rankprompt.llm.rerankers.classifier_files import check_classifier
from rankprompt.llm.rerankers.scores import read_scores

__all__ = ["QUERY_TOKENS", "CrossEncoder", "load", "load_cross_encoder"]

QUERY_TOKENS = 30
"""The most tokens of a query that are read (IDCM's setting); the rest is truncated."""


class CrossEncoder:
    """Scores pairs of a query and a text; higher is more relevant.

    Args:
        network: A classifier with one label, or with two, of which the second means relevant.
        query_tokens: The most tokens of a query that are read.

    Attributes:
        fingerprint: A digest that changes whenever the scores may change.
        tokens: How many tokens have been read so far, without padding.
        windows_cut: How many of the texts scored so far were truncated.

    Raises:
        InputError: ``query_tokens`` is below 1, or leaves no room for a text.
    """

    def __init__(self, network: Network, *, query_tokens: int = QUERY_TOKENS) -> None:
        if not 1 <= query_tokens <= network.longest // 2:
            raise InputError(
                f"query_tokens must be from 1 to {network.longest // 2}, not {query_tokens}"
            )
        self._network, self._query_tokens = network, query_tokens
        # The pairs of few queries come together.
        self._truncate = lru_cache(256)(self._first_tokens)
        self.fingerprint = f"{network.fingerprint} {query_tokens}"
        self.tokens = self.windows_cut = 0
        self._counting = Lock()

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Scores pairs, in their order; a text that is too long is truncated.

        Raises:
            ModelError: The network has neither one label nor two.
        """
        encoded = self._network.tokenizer.encode_batch(
            [(self._truncate(query), text) for query, text in pairs]
        )
        scores = np.zeros(len(pairs))
        for indices, logits, _ in self._network.run(encoded):
            scores[indices] = read_scores(logits, str(self._network.folder))
        with self._counting:
            self.windows_cut += sum(bool(encoding.overflowing) for encoding in encoded)
            self.tokens += sum(len(encoding.ids) for encoding in encoded)
        return list(scores.tolist())

    def cuts(self, query: str) -> bool:
        """Returns whether a query is longer than ``query_tokens``."""
        return self._truncate(query) != query

    def _first_tokens(self, query: str) -> str:
        tokens = self._network.tokenizer.encode(query, add_special_tokens=False).offsets
        limit = self._query_tokens
        return query if len(tokens) <= limit else query[: tokens[limit - 1][1]]


def load(config: TeacherConfig) -> CrossEncoder:
    """Returns the cross-encoder of a folder; raises as ``load_cross_encoder``."""
    check_classifier(expand(config.source), config.source)
    return load_cross_encoder(config.source)


def load_cross_encoder(folder: Path | str, *, query_tokens: int = QUERY_TOKENS) -> CrossEncoder:
    """Loads a cross-encoder.

    Args:
        folder: A classifier's, as for ``load_network``.
        query_tokens: The most tokens of a query that are read.

    Raises:
        ModelError: The model cannot be loaded; the message says what to install.
    """
    return CrossEncoder(load_network(folder, "classifier"), query_tokens=query_tokens)
