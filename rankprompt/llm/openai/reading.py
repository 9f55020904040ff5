"""Makes answers of a server's replies; what is no answer says why."""

import math
from collections.abc import Callable, Collection
from typing import TypeAlias

from rankprompt.llm.base import Answer, Problem
from rankprompt.llm.openai import replies
from rankprompt.llm.openai.echo import read_echo
from rankprompt.llm.openai.listing import read_positions
from rankprompt.llm.openai.prompt_check import PromptCheck
from rankprompt.llm.openai.retrying_client import JsonObject, UnusableError
from rankprompt.llm.openai.schema import (
    Choice,
    count_in,
    first_choice,
    listing_of,
    prompt_listing_of,
)
from rankprompt.llm.openai.top_logprobs import Options, read_next, read_options
from rankprompt.llm.reasoning import strip_reasoning

__all__ = ["Read", "Reader"]

Read: TypeAlias = Callable[[JsonObject], Answer]

# How often an empty answer is asked for again: some gateways send one where they failed.
_EMPTY_RETRIES = 2


class Reader:
    """Reads the replies of one model at one server, and learns what the server lists.

    Args:
        name: the model's name.

    Attributes:
        listed: the tokens that were listed where the last choice began.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._check = PromptCheck(name)
        # Whether the server has listed log-probabilities before.
        self._listed = False
        self.listed: tuple[str, ...] = ()

    def generated(self, prompt: str) -> Read:
        """Returns what reads the text that was generated after a prompt."""
        wordless = _wordless_reader()

        def read(reply: JsonObject) -> Answer:
            choice = first_choice(reply)
            if self._check.is_shortened(prompt, reply):
                return Answer(problem="shortened")
            text = strip_reasoning(choice.content)
            if text is None:
                return Answer(problem="thinking")
            if text.strip():
                return Answer(text=text, problem="cut" if choice.is_cut else "")
            return Answer(problem=wordless(choice, reply))

        return read

    def chosen(self, options: Options, prompt: str, *, chat: bool) -> Read:
        """Returns what reads a choice among options from the tokens listed.

        Args:
            options: without chat, the rests of the options after ``prompt``.
            prompt: the prompt that was sent.
            chat: whether the model may write something before the option.
        """
        wordless = _wordless_reader()

        def answer(
            logprobs: tuple[float, ...], problem: Problem, unlisted: Collection[int] = ()
        ) -> Answer:
            tokens = tuple(int(option not in unlisted) for option in range(len(logprobs)))
            return Answer(logprobs, tokens, problem=problem)

        def read(reply: JsonObject) -> Answer:
            unreadable = (math.nan,) * len(options.rests)
            choice = first_choice(reply)
            if self._check.is_shortened(prompt, reply):
                return answer(unreadable, "shortened")
            positions = read_positions(listing_of(choice))
            if positions is None:
                if chat and _is_silent(choice):
                    return answer(unreadable, wordless(choice, reply))
                # A server that has listed them before will do so again.
                raise UnusableError(
                    replies.no_logprobs(self._name, "none listed"), doubtful=not self._listed
                )
            self._listed = True
            self.listed = tuple(token.decode("utf-8", "replace") for token, _ in positions[0].tops)
            if not chat:
                logprobs = read_next(options, positions)
            else:
                stream = b"".join(position.token for position in positions)
                span = replies.answer_bytes(stream, choice)
                if span is None:
                    return answer(unreadable, "thinking")
                logprobs = read_options(options, positions, *span, ended=not choice.is_cut)
                if not (math.isnan(logprobs[0]) or replies.is_listed(stream, choice)):
                    raise UnusableError("log-probabilities of another text", doubtful=True)
            if not math.isnan(logprobs[0]):
                return answer(logprobs, "", options.unlisted(positions))
            silent = chat and _is_silent(choice)
            return answer(logprobs, wordless(choice, reply) if silent else "unlisted")

        return read

    def echoed(self, text: str, begin: int) -> Read:
        """Returns what reads the log-likelihood of ``text[begin:]`` from the echoed ``text``."""

        def read(reply: JsonObject) -> Answer:
            choice = first_choice(reply)
            if self._check.is_shortened(text, reply):
                return Answer((math.nan,), (0,), problem="shortened")
            listing = prompt_listing_of(choice) or listing_of(choice)
            if listing is None or not listing.tokens:
                raise UnusableError(replies.no_echo("none echoed"), doubtful=not self._listed)
            echo = read_echo(listing, text, begin)
            if echo is None:
                raise UnusableError(replies.no_echo("echoed tokens do not fit"), doubtful=True)
            self._listed = True
            if echo.shortened:
                return Answer((math.nan,), (0,), problem="shortened")
            return Answer((math.fsum(echo.logprobs),), (len(echo.logprobs),))

        return read


def _is_silent(choice: Choice) -> bool:
    return not (strip_reasoning(choice.content) or "").strip()


def _wordless_reader() -> Callable[[Choice, JsonObject], Problem]:
    """Returns what says why an answer is empty, and has it asked for again where that is not said.

    Returns:
        A function, for the replies to one request. It raises UnusableError at the first replies
        that are empty without a reason.
    """
    empty = 0

    def problem(choice: Choice, reply: JsonObject) -> Problem:
        nonlocal empty
        if choice.is_cut or choice.has_reasoning or strip_reasoning(choice.content) is None:
            return "thinking"
        empty += not choice.content
        if 0 < empty <= _EMPTY_RETRIES:
            raise UnusableError("an empty answer")
        # One token may be what ended the turn; more than that were written where we cannot see it.
        hidden = (count_in(reply, "completion_tokens") or 0) > 1 and not choice.content
        return "thinking" if hidden else "empty"

    return problem
