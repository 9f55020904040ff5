"""Which variant of a local model is loaded; imports nothing heavy."""

from typing import NamedTuple

from rankprompt.errors import InputError

__all__ = ["ATTENTION", "PLAIN", "QUANTIZE", "Variant"]

QUANTIZE = ("4bit", "8bit")
ATTENTION = ("sdpa", "flash_attention_2", "eager")


class Variant(NamedTuple):
    """Which variant of a model is loaded; None for what comes with the model.

    Attributes:
        revision: a branch, tag or commit of a model of the hub.
        adapter: a LoRA adapter in PEFT's form: a folder or a hub id.
        tokenizer: another tokenizer than the model's own: a folder or a hub id.
        quantize: "4bit" or "8bit" weights, by bitsandbytes.
        attention: how attention is computed: "sdpa", "flash_attention_2" or "eager".

    Examples:
        >>> from rankprompt.llm.local.variant import Variant
        >>> Variant(revision="main", quantize="4bit").given
        {'revision': 'main', 'quantize': '4bit'}
    """

    revision: str | None = None
    adapter: str | None = None
    tokenizer: str | None = None
    quantize: str | None = None
    attention: str | None = None

    @property
    def given(self) -> dict[str, str]:
        """The fields that are not None, by name."""
        return {name: value for name, value in self._asdict().items() if value is not None}

    def refuse_others(self, model: str, *known: str) -> None:
        """Refuses every given field that is not among the ``known`` ones.

        Raises:
            InputError: the model, as it is shown, has no use for a field.
        """
        for name in self.given:
            if name not in known:
                raise InputError(f"`{name}` plays no part in `model` {model}; leave it out")


PLAIN = Variant()
"""The model as it comes."""
