"""What a language model is to a judge, whatever runs it."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

__all__ = ["Answer", "AsyncLanguageModel", "LanguageModel", "Request", "Usage"]


class Request(NamedTuple):
    """One prompt to a model.

    With ``options``, the model gives their log-likelihoods as continuations of ``prompt``; without,
    it writes up to ``max_tokens`` tokens greedily. ``chat`` puts the prompt into the model's chat
    template as the user's turn; otherwise the prompt is continued as it stands. ``breaks`` are the
    places in the prompt, ascending, up to which other prompts may be the same: a hint of what to
    compute once, which changes no answer.
    """

    prompt: str
    options: tuple[str, ...] = ()
    max_tokens: int = 0
    chat: bool = False
    breaks: tuple[int, ...] = ()


class Answer(NamedTuple):
    """A model's answer to one request.

    ``loglikelihoods`` are sums over an option's tokens in nats, ``tokens`` the options' numbers of
    tokens, both in the order of the request's options; ``text`` is what was generated.
    """

    loglikelihoods: tuple[float, ...] = ()
    tokens: tuple[int, ...] = ()
    text: str = ""


class Usage(NamedTuple):
    """What answering cost, in tokens.

    ``tokens`` were run through the model, ``padding`` beside them; ``reused`` needed not be run
    again, since they were computed for an earlier prompt that starts the same. Of the tokens,
    ``written`` were the model's own. ``retries`` are calls that a server did not answer.
    """

    tokens: int
    padding: int
    reused: int = 0
    written: int = 0
    retries: int = 0


class _Described(Protocol):
    """What every model tells of itself, wherever it runs."""

    @property
    def name(self) -> str:
        """The name that the user gave."""

    @property
    def fingerprint(self) -> str:
        """Changes whenever the answers may: weights, tokenizer, template, number format.

        Of a model behind a server, as far as one can tell from outside.
        """

    @property
    def context_length(self) -> int:
        """The most tokens that prompt and continuation may have together."""

    def length(self, request: Request) -> int:
        """The tokens of a request: prompt, template and the longest answer together.

        Where the tokenizer is not known, a safe guess.
        """

    def truncate(self, text: str, tokens: int) -> str:
        """The longest start of a text with at most ``tokens`` tokens, on a character's bound.

        Where the tokenizer is not known, a safe guess.
        """

    def escape(self, text: str) -> str:
        """A text of others, so written that none of it is taken for a special token.

        Where the tokenizer is not known, that none of it looks like one.
        """


class LanguageModel(_Described, Protocol):
    """A model that answers requests in batches."""

    def plan(self, requests: Sequence[Request]) -> list[list[int]]:
        """Splits requests into the batches to answer them in, as indices; deterministic."""

    def answer(self, requests: Sequence[Request]) -> tuple[list[Answer], Usage]:
        """Answers one batch, in the same order.

        Raises:
            ModelError: a request is longer than the context, or asks what the model cannot do.
        """


class AsyncLanguageModel(_Described, Protocol):
    """A model behind a server, which answers many requests at a time."""

    async def answer(self, request: Request) -> tuple[Answer, Usage]:
        """Answers one request.

        Raises:
            ModelError: the server cannot be reached, refuses, or cannot do what was asked.
        """

    async def close(self) -> None:
        """Ends the connections."""
