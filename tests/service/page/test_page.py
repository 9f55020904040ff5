"""The page in a real browser, on a real server: by keyboard, on a phone, its texts and options.

Wants Debian's ``chromium`` and Playwright for Python, and axe-core as
tests/eval/test_report_browser.py does.
"""

import json
import re
import shlex
from typing import Any
from urllib.request import Request, urlopen

import pytest

from rankprompt.rankers import METHODS
from tests.eval.test_report_browser import axe
from tests.service.page.conftest import PASSAGES, QUERY, Open, fill, focused, ranked

EVIL = """<script>document.title = 'broken'</script><img src=x onerror="alert(1)"> it's & "so\""""


def answer(address: str, **body: Any) -> Any:
    asked = {"query": QUERY, "documents": PASSAGES, **body}
    headers = {"Content-Type": "application/json"}
    with urlopen(Request(f"{address}/v1/rerank", json.dumps(asked).encode(), headers)) as response:
        return json.load(response)


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

    # Every further stop can be seen.
    stops = []
    while page.keyboard.press("Tab") or focused(page):
        stops.append(focused(page))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert stops == [
        "separator", "Options", "rank", "Copy as JSON", "Copy the curl command",
        "The curl command", "The service’s answer", "The API as OpenAPI",
    ]  # fmt: skip


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
    page.locator("#copied:not(:empty)").wait_for()
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
        page.locator("#error", has_text=words).wait_for()
        assert page.locator("#found").is_hidden()
        page.get_by_label(label).fill("")


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
        assert not re.search(r"innerHTML|insertAdjacent|document\.write|eval\(", text)
