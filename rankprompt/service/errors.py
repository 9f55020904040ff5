"""What a request gets that cannot be answered: a status, and one line in its endpoint's shape."""

import logging
import re
from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse

from rankprompt.errors import InputError, JournalError, ModelError, RankpromptError

__all__ = ["RequestError", "error_response", "invalid", "status_of", "words_for_clients"]

_TEI = "/rerank"
_COHERE = "/v2/rerank"

# By status: the names that TEI has for kinds of errors; others are "Validation".
_TEI_KINDS = {
    401: "Unauthorized",
    429: "Overloaded",
    500: "Backend",
    502: "Backend",
    503: "Unhealthy",
    504: "Backend",
}
_KINDS = {
    401: "authentication_error",
    429: "rate_limit_error",
    500: "server_error",
    502: "server_error",
    503: "server_error",
    504: "timeout_error",
}
_INVALID = {_TEI: 422}
_LONGEST = 500  # characters of a message

_ADDRESS = re.compile(r"https?://[^\s'\")]*[^\s'\"):,.;]")
# What the command line's users can do, and clients cannot.
_ADVICE = re.compile(r"(\. No run is written|\. Name another `model`|; `keep_going`).*")

log = logging.getLogger("rankprompt.service")


class RequestError(Exception):
    """A request that gets no answer.

    Args:
        status: the HTTP status.
        message: one line without texts of the request.
        headers: for the response.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.headers = status, message, headers or {}


def status_of(path: str, error: RankpromptError) -> int:
    """The status for an error of the library, raised at an endpoint."""
    if isinstance(error, InputError):
        return invalid(path)
    return 502 if isinstance(error, ModelError) else 503


def words_for_clients(error: RankpromptError) -> str:
    """An error of the library in one line, without what concerns the server's owner alone."""
    words = " ".join(str(error).split())
    if isinstance(error, JournalError):
        log.error("%s", words)
        return "the journal failed; the server's log says why"
    return _ADVICE.sub("", _ADDRESS.sub("the model's server", words))


def invalid(path: str) -> int:
    """The status that an endpoint has for a request that it understands and cannot serve."""
    return _INVALID.get(path, 400)


def error_response(
    path: str, status: int, message: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """An error in the shape that the clients of an endpoint read.

    TEI's have ``error`` and ``error_type``, and Cohere's have ``message``. Jina's clients read
    ``detail``, and those of vLLM, OpenAI and LiteLLM read ``error``; one answer has both.
    """
    if len(message) > _LONGEST:
        message = f"{message[: _LONGEST - 3].rstrip()}..."
    body: dict[str, Any]
    if path == _TEI:
        body = {"error": message, "error_type": _TEI_KINDS.get(status, "Validation")}
    elif path == _COHERE:
        body = {"message": message}
    else:
        kind = _KINDS.get(status, "invalid_request_error")
        body = {"detail": message, "error": {"message": message, "type": kind, "code": status}}
    return JSONResponse(body, status, headers)
