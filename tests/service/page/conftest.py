"""A server of the real application on a tiny real model, and a real browser that opens its page."""

import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from rankprompt import Reranker
from tests.llm.rerankers.classifiers import save_classifier

if TYPE_CHECKING:
    import uvicorn

QUERY = "why does bread dough rise"
PASSAGES = [
    "flour is ground from wheat",
    "yeast gives off carbon dioxide",
    "the price of bread",
    "hot air balloons rise",
]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-lcd-text"]
Page: TypeAlias = Any  # untyped where Playwright is absent
Open: TypeAlias = Callable[..., Page]


@contextmanager
def serving(reranker: Reranker, **limits: Any) -> "Iterator[tuple[str, uvicorn.Server]]":
    """The address of a server of the real application that is ready, and the server."""
    uvicorn = pytest.importorskip("uvicorn", reason="no uvicorn (pip install uvicorn)")
    from rankprompt.service.app import make_app
    from rankprompt.service.settings import ServiceSettings

    app = make_app(reranker, ServiceSettings(**limits))
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        until = time.monotonic() + 60
        while not app.state.service.loaded and time.monotonic() < until:
            time.sleep(0.02)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", server
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def browsing() -> Iterator[Any]:
    """A running Chromium; skips where it or Playwright is absent."""
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright")
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("no chromium (apt-get install chromium)")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def reranker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reranker]:
    with Reranker(str(save_classifier(tmp_path_factory.mktemp("classifier")))) as made:
        yield made


@pytest.fixture(scope="session")
def address(reranker: Reranker) -> Iterator[str]:
    with serving(reranker) as (found, _):
        yield found


# Not of the session: while Playwright runs, so does an event loop, and tests could run no other.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browsing() as browser:
        yield browser


@pytest.fixture
def visit(chromium: Any, address: str) -> Iterator[Open]:
    """Opens the page; whatever it logs but for failed requests fails the test."""
    contexts, logged = [], []

    def note(message: Any) -> None:
        if "Failed to load resource" not in message.text:
            logged.append(message.text)

    def open_page(at: str = address, width: int = 1200, scheme: str = "light") -> Page:
        view = {"width": width, "height": 800}
        context = chromium.new_context(viewport=view, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", note)
        page.on("pageerror", lambda error: logged.append(str(error)))
        page.on("dialog", lambda dialog: logged.append(dialog.message))
        page.goto(at)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert logged == []


def fill(page: Page, *passages: str) -> None:
    page.get_by_label("Query").fill(QUERY)
    page.get_by_label("Passages", exact=True).fill("\n".join(passages or PASSAGES))


def ranked(page: Page) -> list[str]:
    """The passages in the order that the page shows, once it does."""
    page.wait_for_selector("#found:not([hidden])")
    texts: list[str] = page.locator(".passage").all_text_contents()
    return texts


def focused(page: Page) -> str:
    """The id of what has the focus, or its text, or its name."""
    found: str = page.evaluate("""() => {
      const { id, name, textContent, tagName } = document.activeElement;
      return tagName === "BODY" ? "" : id || name || textContent;
    }""")
    return found
