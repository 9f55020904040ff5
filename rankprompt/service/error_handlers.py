"""Turns what is raised while a request is answered into an answer in its endpoint's shape."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from rankprompt.errors import RankpromptError
from rankprompt.service.errors import RequestError, error_response, invalid, status_of

__all__ = ["handle_errors"]

# By pydantic's kind of error: what is wrong with a field. Its own words hold patterns and types of
# Python.
_PROBLEMS: Mapping[str, str] = {
    "missing": "is missing",
    "string_type": "must be a text",
    "string_pattern_mismatch": "must not be blank",
    "string_too_short": "must not be blank",
    "string_unicode": "must be a text whose surrogates are paired",
    "too_short": "must not be empty",
    "int_type": "must be a whole number",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "model_attributes_type": "must be an object",
}


def handle_errors(app: FastAPI) -> None:
    """Gives an application the handlers."""

    @app.exception_handler(RequestError)
    async def refused(request: Request, error: RequestError) -> Response:
        return error_response(request.url.path, error.status, error.message, error.headers)

    @app.exception_handler(RankpromptError)
    async def failed(request: Request, error: RankpromptError) -> Response:
        path = request.url.path
        return error_response(path, status_of(path, error), " ".join(str(error).split()))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        # FastAPI has this status for a body that cannot be decoded.
        told = "the body is not JSON in UTF-8" if error.status_code == 400 else error.detail
        return error_response(request.url.path, error.status_code, told, error.headers)

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> Response:
        path, first = request.url.path, error.errors()[0]
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if not (kind == "application/json" or kind.endswith("+json")):
            message = "the body must be JSON, with the header Content-Type: application/json"
            return error_response(path, 415, message)
        if first["type"] == "json_invalid":
            return error_response(path, 400, f"the body is not JSON: {first['ctx']['error']}")
        return error_response(path, invalid(path), _describe(first))


def _describe(error: Mapping[str, Any]) -> str:
    _, *place = error["loc"]  # the first is "body"
    if not place:
        return "the body must be a JSON object"
    field, position = place[0], place[1] if len(place) > 1 else None
    where = f"{field}.{position}" if isinstance(position, int) else str(field)
    if len(place) > 2 and error["type"] == "string_type":
        return f"{where} must be a text, or an object with a text"
    return f"{where} {_PROBLEMS.get(error['type']) or error['msg']}"
