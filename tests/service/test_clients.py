"""Unmodified clients of other projects rank as ``Reranker`` does: the examples of the docs."""

import gc
import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from rankprompt.api.reranker import Reranker
from rankprompt.service.settings import ServiceSettings
from tests.docs.conftest import ROOT
from tests.llm.rerankers.classifiers import save_classifier
from tests.llm.tiny import SENTENCES
from tests.service.serving import serving

# The frameworks warn of each other's versions when they are imported.
pytestmark = pytest.mark.filterwarnings("ignore")

PAGE = ROOT / "docs" / "service-clients.md"
KEY = "a-key"
QUERY = "where are the boats"
TEXTS = [*SENTENCES, *(text.upper() for text in SENTENCES)]

Pairs = list[tuple[str, float]]
# By a word of its example, and by status: the class of the error that a client raises. Cohere's
# sends a request again for some seconds where the queue is full: only one of its users is tried.
COHERE = {400: "BadRequestError", 401: "UnauthorizedError"}
EVERY = (400, 401, 429)
ERRORS: dict[str, dict[int, str]] = {
    "cohere.ClientV2": {**COHERE, 429: "TooManyRequestsError"},
    "cohere.Client(": COHERE,
    "langchain_cohere": COHERE,
    "tei_rerank": dict.fromkeys((401, 422, 429), "AssertionError"),
    "llama_index.postprocessor.cohere_rerank": COHERE,
    "rankers.cohere": COHERE,
    "rankers.jina": dict.fromkeys(EVERY, "RuntimeError"),
    "mteb.models": dict.fromkeys((400, 429), "RuntimeError"),
    "httpx": dict.fromkeys(EVERY, "HTTPStatusError"),
    "Reranker(": {401: "ModelError"},
}


def _example(word: str) -> str:
    examples = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    (found,) = (one for one in examples if word in one)
    return str(found)


def _run(
    word: str,
    url: str,
    query: str = QUERY,
    texts: Sequence[str] = TEXTS,
    key: str = KEY,
    top: int = 3,
) -> Pairs:
    code = _example(word).replace("http://127.0.0.1:8000", url).replace("KEY", key)
    for name in ("top_n", "top_k"):
        code = code.replace(f"{name}=3", f"{name}={top}")
    code = code.replace('"top_n": 3', f'"top_n": {top}').replace("[:3]", f"[:{top}]")
    names: dict[str, Any] = {"query": query, "documents": list(texts)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RANKPROMPT_API_KEY", key)
        exec(code, names)
    return [(text, float(score)) for text, score in names["ranked"]]


@pytest.fixture(scope="module")
def reranker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reranker]:
    with Reranker(str(save_classifier(tmp_path_factory.mktemp("model")))) as made:
        yield made


@pytest.fixture(scope="module")
def open_to_all(reranker: Reranker) -> Iterator[str]:
    with serving(reranker, ServiceSettings()) as url:
        yield url


@pytest.fixture(scope="module")
def locked(reranker: Reranker) -> Iterator[str]:
    with serving(reranker, ServiceSettings(keys=(KEY,))) as url:
        yield url


@pytest.fixture(scope="module")
def full(reranker: Reranker) -> Iterator[str]:
    """A server whose queue is full."""
    with serving(reranker, ServiceSettings(max_queue=1), held_places=1) as url:
        yield url


@pytest.fixture(autouse=True)
def no_client_left() -> Iterator[None]:
    """Collects clients that never close their sockets here, where that is no error."""
    yield
    gc.collect()


@pytest.mark.parametrize("word", ERRORS)
def test_the_ranking_is_that_of_the_reranker(
    reranker: Reranker, open_to_all: str, locked: str, word: str
) -> None:
    url, ranking = locked, reranker.rank(QUERY, TEXTS)
    expected = [(one.text, one.score) for one in ranking]
    if word == "mteb.models":  # a pair at a time, and batches of other shapes round otherwise
        url = open_to_all
        expected = [(text, reranker.rank(QUERY, [text])[0].score) for text, _ in expected]
    for top in (3, len(TEXTS) + 1):
        ranked = _run(word, url, top=top)
        assert [text for text, _ in ranked] == [text for text, _ in expected[:top]]
        assert [score for _, score in ranked] == pytest.approx(
            [score for _, score in expected[:top]], abs=1e-6
        )


@pytest.mark.parametrize(
    ("word", "status", "error"),
    [(word, status, error) for word, errors in ERRORS.items() for status, error in errors.items()],
)
def test_errors_are_the_clients_own(
    locked: str, open_to_all: str, full: str, word: str, status: int, error: str
) -> None:
    url = {401: locked, 429: full}.get(status, open_to_all)
    key = "another" if status == 401 else KEY
    query = QUERY if status in (401, 429) else " "
    with pytest.raises(Exception) as caught:  # noqa: PT011 - its name is looked at below
        _run(word, url, query, key=key)
    assert type(caught.value).__name__ == error
    said = {401: "key", 429: "wait", 400: "query"}
    if error not in ("AssertionError", "HTTPStatusError"):
        assert said[status] in str(caught.value)
