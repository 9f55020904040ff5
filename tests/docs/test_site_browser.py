"""The site in a real browser: no page logs anything, nor scrolls sideways on a phone, and axe
finds no fault.

Wants Debian's ``chromium``, and axe-core as tests/eval/test_report_browser.py does.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from tests.eval.test_report_browser import FLAGS, axe

PHONE = 375
DARK = "--blink-settings=preferredColorScheme=0"
GROUNDS = {"light": "rgb(255, 255, 255)", "dark": "rgb(30, 33, 41)"}
# axe takes minutes for the reference's largest pages, and all are made of the same markup.
REFERENCE = ("rankprompt", "rankprompt.types", "rankprompt.errors")
# Each page in turn, in a frame as wide as a phone.
SCRIPT = """
<iframe style="width: WIDTHpx; height: 800px"></iframe><pre id="result"></pre>
<script src="asked.js"></script><script>
const pages = PAGES, found = {}, frame = document.querySelector("iframe");
frame.onload = async () => {
  found[pages.shift()] = await ask(frame.contentWindow, frame.contentDocument);
  if (pages.length) frame.src = pages[0];
  else document.querySelector("pre").textContent = JSON.stringify(found);
};
frame.src = pages[0];
</script>"""


def of_each_page(
    pages: list[str], folder: Path, width: int, ask: str, *flags: str
) -> dict[str, Any]:
    """What a JavaScript function, of a window and its document, gives for each page."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium (apt-get install chromium)")
    frame = folder / "frame.html"
    (folder / "asked.js").write_text(ask)
    frame.write_text(SCRIPT.replace("WIDTH", str(width)).replace("PAGES", json.dumps(pages)))
    command = [
        chromium, *FLAGS, *flags, "--dump-dom", "--allow-file-access-from-files", frame.as_uri()
    ]  # fmt: skip
    for attempt in range(3):  # Chromium may hang as it starts, with all processors busy
        try:
            ran = subprocess.run(
                [*command, f"--user-data-dir={folder / f'profile{attempt}'}"],
                capture_output=True, text=True, timeout=180, check=True,
            )  # fmt: skip
            break
        except subprocess.TimeoutExpired:
            if attempt == 2:
                raise
    assert [line for line in ran.stderr.splitlines() if "CONSOLE" in line] == []
    result = re.search(r'<pre id="result">(.+?)</pre>', ran.stdout, re.DOTALL)
    assert result, "not all pages were loaded"
    found: dict[str, Any] = json.loads(unescape(result[1]))
    assert list(found) == pages
    return found


def pages_of(site: Path, reference: Sequence[str] | None = None) -> list[str]:
    """The addresses of the site's pages, with the whole of the API's reference or some of it."""
    return sorted(
        page.as_uri()
        for page in site.rglob("*.html")
        if page.name != "404.html"
        and (reference is None or page.parent.name != "api" or page.stem in reference)
    )


def test_no_page_scrolls_sideways_on_a_phone_or_logs_a_word(site: Path, tmp_path: Path) -> None:
    asked = """const ask = (shown, page) => [page.documentElement.scrollWidth, page.title,
      shown.getComputedStyle(page.body).backgroundColor];"""
    found = of_each_page(pages_of(site), tmp_path, PHONE, asked, DARK)
    assert all(title.endswith("rankprompt") for _, title, _ in found.values())
    assert {page for page, (width, *_) in found.items() if width > PHONE} == set()
    assert {ground for *_, ground in found.values()} == {GROUNDS["dark"]}  # as the reader prefers


def test_axe_finds_no_fault_on_a_page_light_or_dark(site: Path, tmp_path: Path) -> None:
    asked = f"""
const source = {json.dumps(axe())};
const ask = async (shown, page) => {{
  await new Promise((done) => setTimeout(done, 300)); // the theme's own script
  shown.eval(source);
  const look = async (options) => {{
    const found = await shown.axe.run(page, {{resultTypes: ["violations"], ...options}});
    return [shown.getComputedStyle(page.body).backgroundColor, found.passes.length,
      found.violations.map((one) => [one.id, one.nodes.map((node) => node.html)])];
  }};
  // The theme's script makes a nameless landmark of each copy button; no rule of WCAG's.
  const light = await look({{rules: {{"landmark-unique": {{enabled: false}}}}}});
  // Only the colours change, and at once.
  page.head.insertAdjacentHTML("beforeend", "<style>* {{ transition: none !important; }}</style>");
  page.body.setAttribute("data-md-color-scheme", "slate");
  return [light, await look({{runOnly: ["color-contrast"]}})];
}};"""
    found = of_each_page(pages_of(site, REFERENCE), tmp_path, 1200, asked)
    for number, (scheme, ground) in enumerate(GROUNDS.items()):
        looked = {page: schemes[number] for page, schemes in found.items()}
        assert {page: one[2] for page, one in looked.items() if one[2]} == {}, scheme
        assert {one[0] for one in looked.values()} == {ground}
    assert all(light[1] > 15 and dark[1] == 1 for light, dark in found.values())
