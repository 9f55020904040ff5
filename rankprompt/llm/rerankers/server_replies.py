"""Parses the replies of rerankers behind servers: a score for each passage, whatever the order."""

import math
import re
from typing import Annotated

from pydantic import AliasChoices, Field, model_validator

from rankprompt.errors import ModelError
from rankprompt.llm.openai.call_errors import JsonObject, RefusedError, UnusableError
from rankprompt.llm.openai.refusals import is_too_long
from rankprompt.llm.openai.replies import explain_refusal
from rankprompt.llm.openai.retrying_client import RetryingClient
from rankprompt.llm.openai.schema import Part, checked, count_in, one_line
from rankprompt.llm.rerankers.server_forms import FORMS

__all__ = ["explain", "is_batch_too_large", "log_odds", "parse_scores", "tokens_in"]

# Probabilities nearer to 0 or 1 count as this near, so that log-odds are finite (at most 34.5).
_NEAREST = 1e-15
# Rounding may bring a probability out of [0, 1].
_ROUNDING = 1e-6
_TOO_MANY = re.compile(
    r"batch|too many|at most|no more than|max(imum)?\b.{0,30}\b(documents|texts|inputs|passages)"
    r"|number of (documents|texts|inputs|passages)|too large",
    re.I,
)


class _Scored(Part):
    index: Annotated[int, Field(strict=True, ge=0)]
    score: Annotated[float, Field(strict=True)] | None = Field(
        validation_alias=AliasChoices("relevance_score", "score")
    )

    @model_validator(mode="before")
    @classmethod
    def _leave_out_null(cls, row: object) -> object:
        """Reads ``score`` where ``relevance_score`` is null beside it."""
        if isinstance(row, dict) and row.get("relevance_score") is None and "score" in row:
            return {name: value for name, value in row.items() if name != "relevance_score"}
        return row


def parse_scores(reply: JsonObject, number: int) -> list[float]:
    """Returns the score of each passage, in the order in which they were sent.

    Args:
        reply: the server's.
        number: how many passages were sent.

    Returns:
        Not a number where the server gives none.

    Raises:
        UnusableError: a passage has no score, or two; or a score belongs to no passage.
    """
    rows = next(
        (rows for name in ("results", "data") if isinstance(rows := reply.get(name), list)), None
    )
    if rows is None:
        named = (reply.get(name) for name in ("message", "detail", "msg"))
        told = next((one_line(one) for one in named if isinstance(one, str) and one), "")
        raise UnusableError("a reply without scores" + (told and f": {told}"), doubtful=True)
    scores: dict[int, float] = {}
    for row in rows:
        scored = checked(_Scored, row, doubtful=True)
        if scored.index >= number or scored.index in scores:
            which = "two scores for" if scored.index in scores else "a score for"
            raise UnusableError(
                f"{which} document {scored.index}, counted from 0, where {number} were sent",
                doubtful=True,
            )
        known = scored.score is not None and math.isfinite(scored.score)
        scores[scored.index] = scored.score if known and scored.score is not None else math.nan
    if len(scores) < number:
        raise UnusableError(
            f"scores for {len(scores)} of {number} documents; if the server gives only the best, "
            'ask for all in its own words, as with `extra_body` {"top_n": 1000}',
            doubtful=True,
        )
    return [scores[index] for index in range(number)]


def log_odds(score: float, *, is_log_odds: bool) -> float:
    """Returns the log-odds of relevance that a score stands for; NaN for NaN.

    Args:
        score: as the server gives it.
        is_log_odds: whether that is log-odds; else it is a probability, and counts as 1e-15 or
            1 - 1e-15 where it is nearer to 0 or 1.

    Raises:
        ModelError: it is to be a probability, and is none.

    Examples:
        >>> from rankprompt.llm.rerankers.server_replies import log_odds
        >>> round(log_odds(0.75, is_log_odds=False), 4)
        1.0986
    """
    if is_log_odds or math.isnan(score):
        return score
    if not -_ROUNDING <= score <= 1 + _ROUNDING:
        raise ModelError(
            f"a score of {score:g} is no probability; where the model's scores are any numbers, "
            'say so with `extra_body` {"raw_scores": true}'
        )
    probability = min(max(score, _NEAREST), 1 - _NEAREST)
    return math.log(probability) - math.log1p(-probability)


def tokens_in(reply: JsonObject) -> int | None:
    """Returns the tokens that a server says it read; None if it says nothing that can be right."""
    meta = reply.get("meta")
    parts = (
        [meta.get(name) for name in ("tokens", "billed_units")] if isinstance(meta, dict) else []
    )
    for part in (reply.get("usage"), *parts):
        for name in ("total_tokens", "prompt_tokens", "input_tokens"):
            if (count := count_in({"usage": part}, name)) is not None:
                return count
    return None


def is_batch_too_large(refused: RefusedError) -> bool:
    """Whether a server may take fewer passages in a call."""
    if refused.status == 413:
        return True
    too_many = refused.status in (400, 422) and bool(_TOO_MANY.search(refused.message))
    return too_many and not is_too_long(refused.message)


def explain(refused: RefusedError, client: RetryingClient, name: str, path: str) -> str:
    """Says what a refusal means and what to do.

    Args:
        refused: by the server.
        client: has the key, or none.
        name: the model's name.
        path: the path of the call.
    """
    if refused.status in (404, 405):
        return f"no model {name!r}, or no such path; {FORMS} ({refused})"
    if refused.status in (400, 422) and not is_too_long(refused.message):
        return f"a call is refused ({refused}); {FORMS}"
    return explain_refusal(refused, client, name, path, 0)
