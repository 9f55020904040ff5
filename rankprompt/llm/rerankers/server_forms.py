"""The forms of requests to rerankers behind servers, and which of them a base URL names."""

import re
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from rankprompt.errors import ModelError
from rankprompt.llm.openai.address import Address, parse_address, parse_addresses
from rankprompt.llm.openai.call_errors import JsonObject

__all__ = ["FORMS", "Form", "parse_form", "parse_forms"]

FORMS = (
    "the base URL ends in /v1 or /v1/rerank for Jina, vLLM and LiteLLM, in /v2 or /v2/rerank for "
    "Cohere, in /score for vLLM's scores, and has no version for TEI"
)
"""The base URLs, for messages."""

_PATH = re.compile(r"(.*?)(/v\d+)?(/rerank|/score)?")
# In what stands before these: a version of another form, or the path of other calls at the end.
_OTHER = re.compile(
    r"/v\d[^/]*(/|$)|/(re-?ranks?|ranking|scores?|completions|chat|embed(dings)?|responses|models)$",
    re.IGNORECASE,
)
# Cohere bills each started hundred of documents; TEI takes no more than 32 unless it is told to.
_REQUESTS_PER_CALL, _AT_TEI = 100, 32


class Form(NamedTuple):
    """How passages are sent to one server.

    Attributes:
        root: the server's address, without the path of the calls.
        path: of the calls.
        fields: the names of the query and of the passages in a request.
        names_model: whether a request names the model.
        log_odds: whether the scores are log-odds, and not probabilities.
        more: further fields of a request.
        requests_per_call: the most passages of a call, if the server takes as many.
    """

    root: Address
    path: str
    fields: tuple[str, str]
    names_model: bool = True
    log_odds: bool = False
    more: tuple[str, ...] = ()
    requests_per_call: int = _REQUESTS_PER_CALL

    @property
    def description_path(self) -> str:
        """The path that tells which weights the server has."""
        return "/v1/models" if self.names_model else "/info"

    def body(self, model: str, query: str, passages: Sequence[str]) -> JsonObject:
        """The request for the scores of some passages."""
        named: JsonObject = {"model": model} if self.names_model else {}
        texts = dict(zip(self.fields, (query, list(passages)), strict=True))
        return named | texts | dict.fromkeys(self.more, True)


def parse_form(base_url: str) -> Form:
    """Returns the form that a base URL names by its path.

    Raises:
        ModelError: as ``parse_address``; or the path is that of no form.

    Examples:
        >>> from rankprompt.llm.rerankers.server_forms import parse_form
        >>> form = parse_form("http://localhost:8000/v1")
        >>> form.path, form.body("m", "q", ["a", "b"])
        ('/v1/rerank', {'model': 'm', 'query': 'q', 'documents': ['a', 'b']})
    """
    address = parse_address(base_url)
    path = urlsplit(address.base).path
    found = _PATH.fullmatch(path)
    assert found, "every part may be empty"
    before, version, end = found[1], found[2] or "", found[3] or "/rerank"
    if not version and _OTHER.search(before):
        raise ModelError(f"no reranker is asked at {path!r}, the path of the base URL; {FORMS}")
    root = address._replace(base=address.base.removesuffix(path) + before)
    if end == "/score":
        return Form(root, version + end, ("text_1", "text_2"))
    if version:
        return Form(root, version + end, ("query", "documents"))
    return Form(
        root,
        end,
        ("query", "texts"),
        names_model=False,
        log_odds=True,
        more=("raw_scores", "truncate"),
        requests_per_call=_AT_TEI,
    )


def parse_forms(base_urls: str | Sequence[str]) -> list[Form]:
    """Returns the forms that the base URLs of servers with the same model name.

    Raises:
        ModelError: as ``parse_form`` and ``parse_addresses``; or they name different forms.
    """
    urls = [base_urls] if isinstance(base_urls, str) else base_urls
    forms = [parse_form(url) for url in urls]
    parse_addresses([str(form.root) for form in forms])
    if len({form.path for form in forms}) > 1:
        raise ModelError(f"the base URLs of a reranker must name one form; {FORMS}")
    return forms
