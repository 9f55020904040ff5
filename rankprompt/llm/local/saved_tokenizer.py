"""A fast tokenizer as text, which encodes and renders chat templates without importing torch."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

__all__ = ["SavedTokenizer", "TokenizerText", "tokenizer_text"]

_SAMPLE = (
    "  Which passage is more relevant?\n\nPassage A: It’s naïve, e\u0301 1,234.5\t<html>&amp; "
    "\ufb01 哪个段落更相关？ 😀 مرحبا "
)


class TokenizerText(NamedTuple):
    """A tokenizer as text.

    ``json`` is its ``tokenizer.json``; ``bos_token_id`` and ``eos_token_id`` are the tokens that a
    text may start with; ``chat_template`` has the variables ``special_tokens``.
    """

    json: str
    bos_token_id: int | None
    eos_token_id: int | None
    chat_template: str | Mapping[str, str] | None
    special_tokens: Mapping[str, Any]


class Encoded(NamedTuple):
    """An encoded text."""

    input_ids: list[int]


class SavedTokenizer:
    """Encodes and renders as the transformers tokenizer that ``tokenizer_text`` was given.

    Attributes:
        chat_template: the tokenizer's, or the templates by name; None if there is none.

    Raises:
        ValueError: the text is no tokenizer.
    """

    def __init__(self, text: TokenizerText) -> None:
        from tokenizers import Tokenizer

        try:
            self._fast = Tokenizer.from_str(text.json)
        except Exception as error:  # tokenizers raises bare exceptions
            raise ValueError(str(error)) from error
        self._fast.no_truncation()
        self._fast.no_padding()
        self.bos_token_id, self.eos_token_id = text.bos_token_id, text.eos_token_id
        self.chat_template = text.chat_template
        self._special_tokens = text.special_tokens
        self._renderer: PreTrainedTokenizerFast | None = None

    def __call__(self, text: str, add_special_tokens: bool = True) -> Encoded:
        """Encodes a text."""
        return Encoded(self._fast.encode(text, add_special_tokens=add_special_tokens).ids)

    def apply_chat_template(self, turns: list[dict[str, Any]], **how: Any) -> Any:
        """Renders turns by transformers, since templates are programs that need its sandbox."""
        if self._renderer is None:
            from tokenizers import Tokenizer
            from tokenizers.models import BPE
            from transformers import PreTrainedTokenizerFast

            # Rendering uses none of its tokens.
            make: Any = PreTrainedTokenizerFast
            self._renderer = make(tokenizer_object=Tokenizer(BPE()))
        return self._renderer.apply_chat_template(turns, **{**self._special_tokens, **how})


def tokenizer_text(tokenizer: "PreTrainedTokenizerBase") -> TokenizerText | None:
    """Returns a tokenizer as text; None if it would not encode as transformers does by itself.

    A class of its own may change texts before, or tokens after the fast tokenizer: so both encode a
    sample, in which every special token stands.
    """
    from transformers import PreTrainedTokenizerFast

    backend = getattr(tokenizer, "backend_tokenizer", None)
    own = type(tokenizer).apply_chat_template is not PreTrainedTokenizerFast.apply_chat_template
    if backend is None or own:
        return None
    found = TokenizerText(
        backend.to_str(),
        tokenizer.bos_token_id,
        tokenizer.eos_token_id,
        tokenizer.chat_template,
        tokenizer.special_tokens_map,
    )
    try:
        saved = SavedTokenizer(found)
    except ValueError:
        return None
    special = " ".join(map(str, tokenizer.all_special_tokens))
    for text in ("", "A", _SAMPLE, f"{special} {_SAMPLE}{special}"):
        for add in (True, False):
            expected = tokenizer(text, add_special_tokens=add).input_ids
            if saved(text, add_special_tokens=add).input_ids != list(expected):
                return None
    return found
