"""When things go wrong: a request is cancelled, a key is missing, the service is busy or away."""

import re
import time
from typing import Any

from rankprompt import Reranker
from tests.service.page.conftest import Open, fill, focused, ranked, serving

KEY = "a-key-of-this-test"
KEYS_TOLD = {
    "": "wants an API key",
    "wrong": "does not accept this API key",
    "κλειδί": "has only plain letters",
}


def test_cancelling_gives_the_focus_back(visit: Open) -> None:
    page = visit()
    held: list[Any] = []
    page.route("**/v1/rerank", lambda route: held.append(route))
    fill(page)
    page.locator("#rank").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert focused(page) == "cancel"
    page.keyboard.press("Enter")
    page.locator("#status", has_text="Cancelled.").wait_for()
    assert focused(page) == "rank"
    for route in held:
        route.abort()
    page.unroute("**/v1/rerank")
    page.keyboard.press("Enter")
    assert len(ranked(page)) == 4


def test_a_key_is_asked_for_and_kept_out_of_what_is_copied(visit: Open, reranker: Reranker) -> None:
    with serving(reranker, keys=(KEY,)) as (address, _):
        page = visit(address)
        page.wait_for_selector("#key-field:not([hidden])")
        assert page.get_by_role("alert").text_content() == ""
        fill(page)
        for key, words in KEYS_TOLD.items():
            page.get_by_label("API key").fill(key)
            page.locator("#passages").press("Control+Enter")
            page.locator("#error", has_text=words).wait_for()
            page.locator("#key:focus").wait_for()
        # Leaving the field checks the key, and leaves the person where she went.
        page.get_by_label("API key").fill("another")
        with page.expect_response("**/v1/models"):
            page.locator("#query").focus()
        assert focused(page) == "query"
        page.get_by_label("API key").fill(KEY)
        page.locator("#passages").press("Control+Enter")
        assert len(ranked(page)) == 4
        assert page.locator("#model").inner_text() in reranker.job.model
        assert KEY not in page.locator("#curl").text_content()
        assert page.evaluate("localStorage.length + sessionStorage.length") == 0


def test_a_busy_and_a_stopped_service_are_told_in_plain_words(
    visit: Open, reranker: Reranker
) -> None:
    with serving(reranker, max_queue=1) as (address, server):
        page = visit(address)
        fill(page)
        app: Any = server.config.app
        app.state.queue.enter()  # the only place
        page.locator("#rank").click()
        page.locator("#error:not(:empty)").wait_for()
        busy = page.get_by_role("alert").text_content()
        assert re.fullmatch(r"The service is busy\. Try again in \d+ seconds?\.", busy)
        server.should_exit = True
        while server.started and any(one.is_serving() for one in server.servers):
            time.sleep(0.02)
        page.locator("#rank").click()
        page.locator("#error", has_text="The service does not answer.").wait_for()
        assert focused(page) == "rank"
