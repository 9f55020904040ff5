"""The protocol of a language model: requests, answers, token usage, and what a back end offers."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol, TypeAlias

__all__ = [
    "Answer",
    "AsyncBatchModel",
    "AsyncLanguageModel",
    "LanguageModel",
    "Problem",
    "Request",
    "Usage",
]

Problem: TypeAlias = Literal[
    "", "thinking", "cut", "refused", "empty", "unlisted", "shortened", "unscored", "damaged"
]
"""Why an answer is none, or not a whole one; "" where nothing is wrong.

* "thinking": the token limit came before the reasoning ended.
* "cut": the token limit came before the model ended its turn. ``text`` is what it wrote.
* "refused": a content filter refused the prompt or the answer.
* "empty": the model ended its turn without a word.
* "unlisted": the options are not among the likely tokens that a server lists.
* "shortened": the server read much less than the prompt that it was sent.
* "unscored": a reranker's server gave no number as the score.
* "damaged": the score of a reranker in this process is not a number, in its full number format.
"""


class Request(NamedTuple):
    """One prompt for a model.

    With ``options``, the model scores them as continuations of ``prompt``; without, it generates up
    to ``max_tokens`` tokens greedily. ``chat`` puts the prompt into the model's chat template, as
    the user's turn. ``breaks`` are character offsets in the prompt, ascending, up to which other
    prompts may be equal: a hint of which prefixes to compute only once, which changes no answer.
    ``choices`` are the texts of which a generated answer is to be one: a server that can restrict
    it to them does so; other back ends leave it to the prompt.

    With a ``passage``, the request is for a reranker: ``prompt`` is the query, and the model scores
    the passage for it by a template of its own. The answer has one log-likelihood: the log-odds
    that the passage is relevant, which for a model that was not trained on probabilities is any
    number that is higher for a more relevant passage.
    """

    prompt: str
    options: tuple[str, ...] = ()
    max_tokens: int = 0
    chat: bool = False
    breaks: tuple[int, ...] = ()
    choices: tuple[str, ...] = ()
    passage: str | None = None


class Answer(NamedTuple):
    """A model's answer to one request.

    ``loglikelihoods`` (summed over an option's tokens, in nats) and ``tokens`` (how many they are)
    are in the order of the request's options. Of an option that no token begins that a server
    lists, ``tokens`` is 0, and the log-likelihood is that of the least likely one listed, an upper
    bound. ``text`` is what the model generated after its reasoning. With a ``problem`` other than
    "cut", the log-likelihoods are not numbers, and the text is empty.
    """

    loglikelihoods: tuple[float, ...] = ()
    tokens: tuple[int, ...] = ()
    text: str = ""
    problem: Problem = ""


class Usage(NamedTuple):
    """What answering cost, in tokens.

    ``tokens`` ran through the model, and ``padding`` beside them; ``reused`` did not run, because
    an earlier prompt with the same prefix had computed them. Of ``tokens``, the model generated
    ``written``. ``retries`` counts the calls that failed and were repeated.
    """

    tokens: int
    padding: int
    reused: int = 0
    written: int = 0
    retries: int = 0


class _AnyLanguageModel(Protocol):
    """What local models and models behind servers have in common."""

    @property
    def name(self) -> str:
        """The name that the user gave."""

    @property
    def fingerprint(self) -> str:
        """Changes whenever answers may change: weights, tokenizer, template, number format.

        For a model behind a server, only as far as a client can tell.
        """

    @property
    def context_length(self) -> int:
        """The maximum length of prompt and continuation together, in tokens."""

    def length(self, request: Request) -> int:
        """Counts a request's tokens: prompt, chat template and the longest answer together.

        Without access to the tokenizer, an estimate that is rather too large.
        """

    def truncate(self, text: str, tokens: int) -> str:
        """Returns the longest prefix of whole characters with at most ``tokens`` tokens.

        Without access to the tokenizer, an estimate that is rather too short.
        """

    def escape(self, text: str) -> str:
        """Rewrites untrusted text so that the tokenizer reads no special token in it.

        Without access to the tokenizer, so that nothing in it looks like a special token.
        """


class LanguageModel(_AnyLanguageModel, Protocol):
    """A model that answers requests in batches."""

    def plan(self, requests: Sequence[Request]) -> list[list[int]]:
        """Splits requests into batches, as lists of indices into ``requests``; deterministic."""

    def answer(self, requests: Sequence[Request]) -> tuple[list[Answer], Usage]:
        """Answers one batch, in the same order.

        Raises:
            ModelError: a request exceeds the context length, or the model cannot answer its kind.
        """


class AsyncLanguageModel(_AnyLanguageModel, Protocol):
    """A model behind a server, which answers many requests concurrently."""

    async def open(self) -> None:
        """Asks the server what it knows of the model; before that, the fingerprint may lack it."""

    async def answer(self, request: Request) -> tuple[Answer, Usage]:
        """Answers one request.

        Raises:
            ModelError: the server cannot be reached, refuses, or cannot answer this kind.
        """

    async def close(self) -> None:
        """Closes the connections."""


class AsyncBatchModel(AsyncLanguageModel, Protocol):
    """A model behind a server, whose calls may hold several requests with the same prompt."""

    @property
    def requests_per_call(self) -> int:
        """The most requests of a call."""

    async def answer_together(self, requests: Sequence[Request]) -> tuple[list[Answer], Usage]:
        """Answers the requests of one call, in the same order.

        Raises:
            ModelError: as ``answer``.
        """
