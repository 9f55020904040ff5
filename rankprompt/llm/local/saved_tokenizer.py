"""A fast tokenizer as text, which encodes without transformers: that would import torch."""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["SavedTokenizer", "TokenizerText", "tokenizer_text"]

_SAMPLE = (
    "  Which passage is more relevant?\n\nPassage A: It’s naïve, e\u0301 1,234.5\t<html>&amp; "
    "\ufb01 哪个段落更相关？ 😀 مرحبا "
)


class TokenizerText(NamedTuple):
    """A tokenizer as text: its ``tokenizer.json``, and the tokens that a text may start with.

    ``in_chat``: whether the tokenizer has a chat template.
    """

    json: str
    bos_token_id: int | None
    eos_token_id: int | None
    in_chat: bool


class Encoded(NamedTuple):
    """An encoded text."""

    input_ids: list[int]


class SavedTokenizer:
    """Encodes as the transformers tokenizer that ``tokenizer_text`` was given.

    Chat templates are not rendered: they are programs of the model's maker, which run nowhere but
    in the sandbox that transformers maintains.

    Attributes:
        chat_template: whether there is one.

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
        self.chat_template = text.in_chat

    def __call__(self, text: str, add_special_tokens: bool = True) -> Encoded:
        """Encodes a text."""
        return Encoded(self._fast.encode(text, add_special_tokens=add_special_tokens).ids)


def tokenizer_text(tokenizer: "PreTrainedTokenizerBase") -> TokenizerText | None:
    """Returns a tokenizer as text; None if it would not encode as transformers does by itself.

    A class of its own may change texts before, or tokens after the fast tokenizer: so both encode a
    sample, in which every special token stands.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return None
    template = tokenizer.chat_template
    found = TokenizerText(
        backend.to_str(), tokenizer.bos_token_id, tokenizer.eos_token_id, bool(template)
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
