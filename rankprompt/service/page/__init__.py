"""The page at ``/``: a person pastes a query and passages, and sees them ranked."""

from collections.abc import Awaitable, Callable
from importlib.resources import files

from fastapi import APIRouter, Response

__all__ = ["page_router"]

_TYPES = {
    "index.html": "text/html; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "ranking.js": "text/javascript; charset=utf-8",
    "example.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
# Nothing inline runs, and nothing goes to another host.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def page_router() -> APIRouter:
    """The routes of the page, at ``/``, and of its files, below ``/page/``; they are read once.

    The page calls ``v1/rerank`` and ``v1/models`` beside it, so that it also works below a path.

    Examples:
        >>> from fastapi import FastAPI
        >>> from rankprompt.service.page import page_router
        >>> app = FastAPI()
        >>> app.include_router(page_router())
    """
    router = APIRouter(include_in_schema=False)
    for name in _TYPES:
        path = "/" if name == "index.html" else f"/page/{name}"
        router.add_api_route(path, _serve(name), methods=["GET", "HEAD"], response_class=Response)
    return router


def _serve(name: str) -> Callable[[], Awaitable[Response]]:
    content = files(__name__).joinpath(name).read_bytes()

    async def serve() -> Response:
        return Response(content, media_type=_TYPES[name], headers=_HEADERS)

    return serve
