"""The page in a real browser, on a real server: by keyboard, on a phone, and when things fail.

Wants Debian's ``chromium`` and Playwright for Python, and axe-core as
tests/eval/test_report_browser.py does.
"""

import json
import re
import shlex
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, TypeAlias
from urllib.request import Request, urlopen

import pytest

pytest.importorskip("uvicorn", reason="no uvicorn (pip install uvicorn)")
playwright = pytest.importorskip("playwright.sync_api", reason="no playwright")

import uvicorn

from rankprompt import Reranker
from rankprompt.rankers import METHODS
from rankprompt.service.app import make_app
from rankprompt.service.settings import ServiceSettings
from tests.eval.test_report_browser import axe
from tests.llm.rerankers.classifiers import save_classifier

QUERY = "why does bread dough rise"
PASSAGES = [
    "flour is ground from wheat",
    "yeast gives off carbon dioxide",
    "the price of bread",
    "hot air balloons rise",
]
EVIL = """<script>document.title = 'broken'</script><img src=x onerror="alert(1)"> it's & "so\""""
KEY = "a-key-of-this-test"
Page: TypeAlias = Any  # untyped where Playwright is absent
Open: TypeAlias = Callable[..., Page]


@contextmanager
def serving(reranker: Reranker, **limits: Any) -> Iterator[tuple[str, uvicorn.Server]]:
    """The address of a server of the real application, and the server."""
    app = make_app(reranker, ServiceSettings(**limits))
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    address = f"http://127.0.0.1:{listening.getsockname()[1]}"
    try:
        until = time.monotonic() + 60
        while not app.state.service.loaded and time.monotonic() < until:
            time.sleep(0.02)
        yield address, server
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def reranker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reranker]:
    with Reranker(str(save_classifier(tmp_path_factory.mktemp("classifier")))) as made:
        yield made


@pytest.fixture(scope="module")
def address(reranker: Reranker) -> Iterator[str]:
    with serving(reranker) as (found, _):
        yield found


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("no chromium (apt-get install chromium)")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()


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
        page.goto(at, wait_until="networkidle")
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


def answer(address: str, **body: Any) -> Any:
    asked = {"query": QUERY, "documents": PASSAGES, **body}
    headers = {"Content-Type": "application/json"}
    with urlopen(Request(f"{address}/v1/rerank", json.dumps(asked).encode(), headers)) as response:
        return json.load(response)


def focused(page: Page) -> str:
    found: str = page.evaluate("document.activeElement.id || document.activeElement.tagName")
    return found


def test_the_keyboard_alone_ranks_and_never_loses_the_focus(visit: Open, address: str) -> None:
    page = visit()
    expected = answer(address)
    page.keyboard.press("Tab")
    assert focused(page) == "query"
    page.keyboard.type(QUERY)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert focused(page) == "passages"
    for passage in PASSAGES:
        page.keyboard.type(passage)
        page.keyboard.press("Enter")
    assert page.locator("#count").text_content() == "4 passages"
    page.keyboard.press("Control+Enter")
    assert ranked(page) == [PASSAGES[one["index"]] for one in expected["results"]]
    assert focused(page) == "passages"

    scores = page.locator("#rows td:nth-child(2)").all_text_contents()
    assert scores == [f"{one['relevance_score']:.4f}" for one in expected["results"]]
    before = page.locator("#rows th").all_text_contents()
    for now, (text, one) in enumerate(zip(before, expected["results"], strict=True), 1):
        steps = one["index"] + 1 - now
        words = f"up {steps}" if steps > 0 else f"down {-steps}" if steps else "not moved"
        assert text.startswith(str(now))
        assert text.endswith(f"{words}, was {one['index'] + 1}")
    assert expected["meaning"] in page.locator("caption").text_content()
    told = page.get_by_role("status").first.text_content()
    assert told.startswith("Ranked 4 passages in ")
    assert told.endswith(f"First is passage {expected['results'][0]['index'] + 1}.")
    costs = dict(re.findall(r"(\w+)\n+(\S+)", page.locator("#costs").inner_text()))
    assert costs["Questions"] == costs["Prompts"] == "4"
    assert costs["Tokens"] == str(expected["usage"]["total_tokens"])

    # Each stop up to the end of the page and each stop back is a control that can be seen.
    for key in ("Tab", "Shift+Tab"):
        page.locator("#passages").focus()
        for _ in range(3):
            page.keyboard.press(key)
            assert page.evaluate("document.activeElement.matches(':focus-visible')")
            assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
            if focused(page) == "query":
                break


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault_in_either_scheme(visit: Open, scheme: str) -> None:
    page = visit(scheme=scheme)
    page.evaluate(axe())
    page.locator("summary").first.click()
    grounds = {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 26)"}
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == grounds[scheme]

    def faults() -> list[Any]:
        found: list[Any] = page.evaluate("""axe.run().then((found) => found.violations.map(
            (one) => [one.id, one.nodes.map((node) => node.html)]))""")
        return found

    page.locator("#rank").click()
    assert page.get_by_role("alert").text_content() == "Write a query first."
    assert focused(page) == "query"
    assert faults() == []
    fill(page, *PASSAGES, "long " * 400)
    page.locator("#rank").click()
    assert len(ranked(page)) == 5
    for summary in page.locator("#found summary").all():
        summary.click()
    assert faults() == []


def test_on_a_phone_nothing_scrolls_sideways(visit: Open) -> None:
    page = visit(width=360)
    page.locator("summary").first.click()
    fill(page, *PASSAGES, "w" * 300, "long " * 400)
    page.locator("#rank").click()
    assert len(ranked(page)) == 6
    for summary in page.locator("#found summary").all():
        summary.click()
    for _ in range(2):  # cut and whole passages
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        tall = page.locator("tbody").bounding_box()["height"]
        page.get_by_label("Show long passages in full").click()
    assert page.locator("tbody").bounding_box()["height"] < tall


def test_texts_are_shown_and_copied_as_they_are(visit: Open) -> None:
    page = visit()
    fill(page, *PASSAGES, EVIL)
    page.get_by_label("Query").fill(EVIL)
    page.locator("#rank").click()
    assert EVIL in ranked(page)
    assert page.locator("#asked").text_content() == EVIL
    assert page.locator("main script, main img").count() == 0
    words = shlex.split(page.locator("#curl").text_content().replace("\\\n", " "))
    assert words[:2] == ["curl", page.url + "v1/rerank"]
    sent = json.loads(words[-1])
    assert sent == {"query": EVIL, "documents": [*PASSAGES, EVIL], "return_documents": False}
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy as JSON").click()
    page.wait_for_function("document.getElementById('copied').textContent")
    copied = json.loads(page.evaluate("navigator.clipboard.readText()"))
    assert len(copied["results"]) == 5


def test_options_reach_the_service_and_its_refusals_the_person(visit: Open, address: str) -> None:
    page = visit()
    listed = page.locator("#methods option").evaluate_all("all => all.map((one) => one.value)")
    assert listed == [*METHODS]
    fill(page)
    page.get_by_label("Passages", exact=True).fill(f"{PASSAGES[0]}\nand more\n \n{PASSAGES[1]}\n")
    page.get_by_label("Blank line between").check()
    page.locator("summary").first.click()
    page.get_by_label("Show only the first").fill("1")
    page.locator("#rank").click()
    both = [f"{PASSAGES[0]}\nand more", PASSAGES[1]]
    first = answer(address, documents=both, top_n=1)["results"][0]["index"]
    assert ranked(page) == [both[first]]
    assert page.locator("caption").text_content().startswith("1 of 2 passages, best first.")

    for label, value, words in (
        ("Show only the first", "0", "must be a whole number of at least 1"),
        ("Ranking method", "listwise", "The service cannot rank this. It says: "),
    ):
        page.get_by_label(label).fill(value)
        page.get_by_label(label).press("Enter")
        page.wait_for_function("document.getElementById('error').textContent")
        assert words in page.get_by_role("alert").text_content()
        assert page.locator("#found").is_hidden()
        page.get_by_label(label).fill("")


def test_cancelling_gives_the_focus_back(visit: Open) -> None:
    page = visit()
    page.route("**/v1/rerank", lambda _: None)  # is never answered
    fill(page)
    page.locator("#rank").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert focused(page) == "cancel"
    page.keyboard.press("Enter")
    page.wait_for_function("document.getElementById('status').textContent === 'Cancelled.'")
    assert focused(page) == "rank"
    page.unroute("**/v1/rerank")
    page.keyboard.press("Enter")
    assert len(ranked(page)) == 4


def test_a_key_is_asked_for_and_kept_out_of_what_is_copied(
    visit: Open, reranker: Reranker
) -> None:
    with serving(reranker, keys=(KEY,)) as (address, _):
        page = visit(address)
        page.wait_for_selector("#key-field:not([hidden])")
        assert page.get_by_role("alert").text_content() == ""
        fill(page)
        for key, words in (("", "wants an API key"), ("wrong", "does not accept this API key")):
            page.get_by_label("API key").fill(key)
            page.locator("#passages").press("Control+Enter")
            page.wait_for_function(
                "words => document.getElementById('error').textContent.includes(words)", arg=words
            )
            assert focused(page) == "key"
        page.get_by_label("API key").fill(KEY)
        page.locator("#passages").press("Control+Enter")
        assert len(ranked(page)) == 4
        assert page.locator("#model").text_content() != "unknown"
        assert KEY not in page.locator("#curl").text_content()
        assert page.evaluate("localStorage.length + sessionStorage.length") == 0


def test_a_busy_and_a_stopped_service_are_told_in_plain_words(
    visit: Open, reranker: Reranker
) -> None:
    stack: AbstractContextManager[tuple[str, uvicorn.Server]] = serving(reranker, max_queue=1)
    with stack as (address, server):
        page = visit(address)
        fill(page)
        port = int(address.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as slow:
            # Takes the only place, for its body never comes.
            slow.sendall(b"POST /v1/rerank HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
            time.sleep(0.2)
            page.locator("#rank").click()
            page.wait_for_function("document.getElementById('error').textContent")
            busy = page.get_by_role("alert").text_content()
        assert re.fullmatch(r"The service is busy\. Try again in \d+ seconds?\.", busy)
        server.should_exit = True
        while server.started and any(one.is_serving() for one in server.servers):
            time.sleep(0.02)
        page.locator("#rank").click()
        page.wait_for_function("document.getElementById('error').textContent.includes('answer')")
        assert page.get_by_role("alert").text_content().startswith("The service does not answer.")
        assert focused(page) == "rank"


def test_its_files_may_neither_run_inline_code_nor_leave_this_host(address: str) -> None:
    with urlopen(address) as response:
        policy, html = response.headers["Content-Security-Policy"], response.read().decode()
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert "unsafe" not in policy
    assert re.findall(r"<style|style=|<script(?! type=\"module\" src=)| on\w+=", html) == []
    for name in ("page.css", "page.js", "ranking.js", "example.js"):
        with urlopen(f"{address}/page/{name}") as response:
            text = response.read().decode()
        assert "//" not in re.sub(r"^\s*// .*", "", text, flags=re.MULTILINE)
        assert not re.search("innerHTML|insertAdjacent|document.write|eval", text)
