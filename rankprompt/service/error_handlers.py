"""Turns what is raised while a request is answered into an answer in its endpoint's shape."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from rankprompt.errors import RankpromptError
from rankprompt.service.errors import (
    RequestError,
    error_response,
    invalid,
    status_of,
    words_for_clients,
)
from rankprompt.service.schemas import TOO_MANY

__all__ = ["handle_errors"]

# By pydantic's kind of error: what is wrong with a field. Its own words hold patterns and types of
# Python.
_PROBLEMS: Mapping[str, str] = {
    "missing": "is missing",
    "string_type": "must be a text",
    "string_pattern_mismatch": "must not be blank",
    "string_too_long": "is too long",
    "string_too_short": "must not be blank",
    "string_unicode": "must be a text whose surrogates are paired",
    "too_short": "must not be empty",
    "int_type": "must be a whole number",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "model_attributes_type": "must be an object",
}

_FIELD = re.compile(r"(?!str$)[a-z0-9_]+")


def handle_errors(app: FastAPI) -> None:
    """Gives an application the handlers."""

    @app.exception_handler(RequestError)
    async def refused(request: Request, error: RequestError) -> Response:
        return error_response(request.url.path, error.status, error.message, error.headers)

    @app.exception_handler(RankpromptError)
    async def failed(request: Request, error: RankpromptError) -> Response:
        path = request.url.path
        return error_response(path, status_of(path, error), words_for_clients(error))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        # FastAPI has this status for a body that cannot be decoded.
        told = "the body is not JSON in UTF-8" if error.status_code == 400 else error.detail
        return error_response(request.url.path, error.status_code, told, error.headers)

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> Response:
        path, errors = request.url.path, error.errors()
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if not (kind == "application/json" or kind.endswith("+json")):
            message = "the body must be JSON, with the header Content-Type: application/json"
            return error_response(path, 415, message)
        if errors[0]["type"] == "json_invalid":
            told = f"the body is not JSON: {errors[0]['ctx']['error']}"
            return error_response(path, 400, told)
        for one in errors:
            if one["type"] == TOO_MANY:
                return error_response(path, 413, one["msg"])
        return error_response(path, invalid(path), _describe(errors))


def _describe(errors: Sequence[Mapping[str, Any]]) -> str:
    # Where a field may be of several types, the one that fits the best was meant.
    error = max(errors, key=lambda one: (len(one["loc"]), not one["type"].endswith("_type")))
    place = error["loc"][1:]  # the first is "body"
    if not place:
        return "the body must be a JSON object"
    # Names of types, such as Document and list[str], stand between the fields.
    path = [str(one) for one in place if isinstance(one, int) or _FIELD.fullmatch(one)]
    if error["type"] == "string_pattern_mismatch" and path[-1] == "method":
        return "method must be the names of methods, joined by commas"
    problem = _PROBLEMS.get(error["type"]) or error["msg"]
    if error["type"] == "string_type" and any(one["loc"][-1] == "Document" for one in errors):
        problem += ", or an object with a text"
    return f"{'.'.join(path)} {problem}"
