"""A local model whose weights are loaded by the first question that the journal cannot answer."""

from collections.abc import Callable, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any

from rankprompt.errors import ModelError
from rankprompt.llm.base import Answer, LanguageModel, Request, Usage
from rankprompt.llm.local.chat_template import ChatTemplate
from rankprompt.llm.local.encoding import encode, truncate
from rankprompt.llm.local.facts import FactsFile, ModelFacts
from rankprompt.llm.local.model_files import quieten_transformers
from rankprompt.llm.local.saved_tokenizer import SavedTokenizer
from rankprompt.llm.local.variant import PLAIN, Variant
from rankprompt.llm.special_tokens import escape, special_token_pattern

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from rankprompt.llm.local.model import LocalModel

__all__ = ["LazyModel", "load"]


class LazyModel:
    """A local model of which an earlier run has left the facts.

    Prompts are counted and cut without the weights, and without torch; by several threads at the
    same time, also while another one has prompts answered.

    Args:
        name: the name that the user gave.
        facts: what the earlier run found out.
        load_weights: loads the model.
        discard: deletes the facts.

    Attributes:
        dtype: number format of the weights, such as "bfloat16".

    Raises:
        ValueError: the tokenizer among the facts cannot be used.
    """

    def __init__(
        self,
        name: str,
        facts: ModelFacts,
        *,
        load_weights: Callable[[], "LocalModel"],
        discard: Callable[[], None],
    ) -> None:
        self.name, self.fingerprint = name, facts.fingerprint
        self.context_length, self.dtype = facts.context_length, facts.dtype
        self._facts = facts
        self._load_weights, self._discard = load_weights, discard
        # It has what is used of a transformers tokenizer.
        self._tokenizer: Any = SavedTokenizer(facts.tokenizer)
        self._special = special_token_pattern(facts.special_tokens)
        # Both are made by the first use, once. One lock: each imports parts of transformers, and
        # Python may give one of two threads that import the same modules a half-made one.
        self._making = Lock()
        self._chat: ChatTemplate | None = None
        self._model: LocalModel | None = None

    def plan(self, requests: Sequence[Request]) -> list[list[int]]:
        """As ``LocalModel.plan``; loads the weights."""
        return self._loaded().plan(requests)

    def prepare(self, requests: Sequence[Request]) -> None:
        """As ``LocalModel.prepare``; does not load the weights."""
        if self._model:
            self._model.prepare(requests)

    def answer(self, requests: Sequence[Request]) -> tuple[list[Answer], Usage]:
        """As ``LocalModel.answer``; loads the weights.

        Raises:
            ModelError: the weights cannot be loaded, or are not those that the facts are about.
        """
        return self._loaded().answer(requests)

    @property
    def layers(self) -> int:
        """As ``LocalModel.layers``; loads the weights."""
        return self._loaded().layers

    def last_states(
        self, requests: Sequence[Request], layers: Sequence[int]
    ) -> "tuple[list[npt.NDArray[np.float32]], Usage]":
        """As ``LocalModel.last_states``; loads the weights."""
        return self._loaded().last_states(requests, layers)

    def length(self, request: Request) -> int:
        """Counts a request's tokens: prompt, chat template and the longest answer together."""
        encoded = encode(
            self._tokenizer,
            request,
            chat=self._chat_template() if request.chat else None,
            encoder_decoder=self._facts.encoder_decoder,
        )
        return encoded.size(request.max_tokens)

    def truncate(self, text: str, tokens: int) -> str:
        """Returns the longest prefix of whole characters with at most ``tokens`` tokens."""
        return truncate(self._tokenizer, text, tokens)

    def escape(self, text: str) -> str:
        """Rewrites untrusted text so that the tokenizer reads no special token in it."""
        return escape(text, self._special)

    def _chat_template(self) -> ChatTemplate | None:
        if not self._tokenizer.chat_template or self._chat:
            return self._chat
        with self._making:
            if self._chat is None:
                quieten_transformers()
                chat = ChatTemplate(self._tokenizer, self.name)
                if not self._facts.encoder_decoder:
                    chat.settle_lead(lambda _: self._facts.lead == " ")
                found = self._facts._replace(lead=chat.lead, signature=chat.signature)
                self._check(found == self._facts)
                self._chat = chat
        return self._chat

    def _loaded(self) -> "LocalModel":
        with self._making:
            if self._model is None:
                try:
                    model = self._load_weights()
                except ModelError:
                    self._discard()  # The next run reports it before it asks anything.
                    raise
                self._check(model.facts() == self._facts)
                self._model = model
        return self._model

    def _check(self, unchanged: bool) -> None:
        if not unchanged:
            self._discard()
            raise ModelError(
                f"the model {self.name} is not the one that an earlier run read: its files were "
                "changed in place, or the hub has a newer one; start the same command again, and "
                "it is read anew"
            )


def load(
    name: str,
    *,
    dtype: str = "auto",
    device: str = "auto",
    trust_remote_code: bool = False,
    shown_as: str | None = None,
    variant: Variant = PLAIN,
    **settings: Any,
) -> LanguageModel:
    """Loads a local model: its weights at once, or if its facts are known, when they are needed.

    The arguments are those of ``rankprompt.llm.local.model.load``. A model with code of its own is
    always loaded at once, because that code may depend on anything.

    Raises:
        ModelError: the model cannot be loaded.
        InputError: no such device or dtype.
    """

    def load_weights() -> "LocalModel":
        from rankprompt.llm.local import model

        how = {"trust_remote_code": trust_remote_code, "variant": variant, **settings}
        return model.load(name, dtype=dtype, device=device, shown_as=shown_as, **how)

    if trust_remote_code:
        return load_weights()
    kept = FactsFile(name, {"dtype": dtype, "device": device}, variant)
    if facts := kept.read():
        try:
            return LazyModel(
                shown_as or name, facts, load_weights=load_weights, discard=kept.delete
            )
        except ValueError:
            kept.delete()
    model = load_weights()
    if known := model.facts():
        kept.write(known)
    return model
