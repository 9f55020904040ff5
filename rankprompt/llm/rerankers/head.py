"""Heads: rerankers that read a passage's relevance from hidden states of a language model."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from rankprompt.errors import InputError, ModelError, require
from rankprompt.files.home import expand
from rankprompt.llm.base import Answer, LanguageModel, Request, Usage
from rankprompt.llm.embedded import resolve
from rankprompt.llm.local import lazy
from rankprompt.llm.local.variant import PLAIN, Variant
from rankprompt.llm.model_folders import folder_fingerprint
from rankprompt.llm.rerankers.head_files import HeadConfig, read_head

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["HeadModel", "StatesModel", "load"]

log = logging.getLogger("rankprompt")


class StatesModel(LanguageModel, Protocol):
    """A local language model whose hidden states can be read."""

    dtype: str

    @property
    def layers(self) -> int:
        """As ``LocalModel.layers``."""

    def last_states(
        self, requests: Sequence[Request], layers: Sequence[int]
    ) -> tuple[list[npt.NDArray[np.float32]], Usage]:
        """As ``LocalModel.last_states``."""


class HeadModel:
    """A linear head on hidden states of a language model, which scores passages.

    The difference of two scores is the log-odds that the first passage is the more relevant one; 0
    is the mean of the passages that the head was trained on.

    Args:
        base: the language model.
        config: what the head stands on.
        weight: shape (layers times hidden size,), layer by layer.
        bias: added to each score.
        name: the name that the user gave.
        digest: of the head's files.

    Attributes:
        name: the name that the user gave.
        fingerprint: changes whenever scores may change.
        context_length: the most tokens of the whole prompt.
        dtype: the number format of the language model's weights.
        weights: what the head stands on, in words.
    """

    def __init__(
        self,
        base: StatesModel,
        config: HeadConfig,
        weight: npt.NDArray[np.float32],
        bias: float,
        *,
        name: str,
        digest: str,
    ) -> None:
        self._base, self._layers, self._weight, self._bias = base, config.layers, weight, bias
        self._template, self._chat = config.template, config.chat
        self.name, self.context_length, self.dtype = name, base.context_length, base.dtype
        self.fingerprint = f"{base.fingerprint} head {digest}"
        self.weights = f"a head on layers {_listed(config.layers)} of {config.model}"

    def plan(self, requests: Sequence[Request]) -> list[list[int]]:
        """Splits requests into batches of similar length, longest first; deterministic."""
        return self._base.plan([self._shown(request) for request in requests])

    def answer(self, requests: Sequence[Request]) -> tuple[list[Answer], Usage]:
        """Scores one batch, in the same order.

        Raises:
            ModelError: a request has no passage or is too long, or the head does not fit the model.
        """
        shown = [self._shown(request) for request in requests]
        states, usage = self._base.last_states(shown, self._layers)
        if states[0].size != len(self._weight):
            raise ModelError(
                f"{self.name}: the head reads {len(self._weight)} numbers, and the states of its "
                f"model have {states[0].size}: the model is not the one that it was trained on"
            )
        scores = np.stack([state.ravel() for state in states]) @ self._weight + self._bias
        return [
            Answer((float(score),), (1,), problem="" if np.isfinite(score) else "damaged")
            for score in scores
        ], usage

    def length(self, request: Request) -> int:
        """Counts a request's tokens: the prompt with query and passage."""
        return self._base.length(self._shown(request))

    def truncate(self, text: str, tokens: int) -> str:
        """Returns the longest prefix of whole characters with at most ``tokens`` tokens."""
        return self._base.truncate(text, tokens)

    def escape(self, text: str) -> str:
        """Rewrites untrusted text so that the tokenizer reads no special token in it."""
        return self._base.escape(text)

    def _shown(self, request: Request) -> Request:
        if request.passage is None:
            raise ModelError(f"{self.name} is a reranker: it scores passages, and does not write")
        text = self._template.fill(query=request.prompt, passage=request.passage)
        return Request(text, chat=self._chat)


def _listed(layers: Sequence[int]) -> str:
    return ", ".join(map(str, layers))


def load(
    name: str,
    *,
    dtype: str = "auto",
    device: str = "auto",
    batch_tokens: int | None = None,
    trust_remote_code: bool = False,
    shown_as: str | None = None,
    threads: int | None = None,
    variant: Variant = PLAIN,
    **_: object,
) -> HeadModel:
    """Loads a head and the tokenizer of its language model, whose weights may wait until needed.

    The arguments are those of ``load_model``.

    Raises:
        ModelError: the folder holds no head that can be read, or its model cannot be loaded.
        InputError: no such device or dtype, or a setting that plays no part with a head.
    """
    shown = shown_as or name
    variant.refuse_others(shown)
    if trust_remote_code:
        raise InputError(
            "`trust_remote_code` plays no part: a head's model runs no code of its own"
        )
    require("torch")
    folder: Path = expand(name)
    config, weight, bias = read_head(folder)
    try:
        base: StatesModel = lazy.load(
            resolve(config.model),
            dtype=dtype,
            device=device,
            batch_tokens=batch_tokens,
            shown_as=config.model,
            threads=threads,
            prefix_bytes=0,
        )  # type: ignore[assignment]
    except ModelError as error:
        raise ModelError(f"{shown} is a head on {config.model}: {error}") from error
    if base.dtype == config.dtype and base.fingerprint != config.fingerprint:
        log.warning(
            "%s was trained on another %s than the one of now, or on another machine: its scores "
            "may be worse",
            shown,
            config.model,
        )
    return HeadModel(base, config, weight, bias, name=shown, digest=folder_fingerprint(folder))
