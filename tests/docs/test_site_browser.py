"""The site in a real browser: no page logs anything, nor scrolls sideways on a phone, and axe
finds no fault.

Wants Debian's ``chromium``, and axe-core as tests/eval/test_report_browser.py does.
"""

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from tests.eval.test_report_browser import FLAGS, axe

PHONE = 375
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


def of_each_page(site: Path, folder: Path, width: int, ask: str, *flags: str) -> dict[str, Any]:
    """What a JavaScript function, of a window and its document, gives for each page."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium (apt-get install chromium)")
    pages = sorted(one.as_uri() for one in site.rglob("*.html") if one.name != "404.html")
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
                capture_output=True, text=True, timeout=120, check=True,
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


def test_no_page_scrolls_sideways_on_a_phone_or_logs_a_word(site: Path, tmp_path: Path) -> None:
    asked = "const ask = (_, shown) => [shown.documentElement.scrollWidth, shown.title];"
    found = of_each_page(site, tmp_path, PHONE, asked)
    assert all(title.endswith("rankprompt") for _, title in found.values())
    assert {page for page, (width, _) in found.items() if width > PHONE} == set()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault_on_any_page(site: Path, tmp_path: Path, scheme: str) -> None:
    asked = f"""
const source = {json.dumps(axe())};
const ask = async (shown, page) => {{
  await new Promise((done) => setTimeout(done, 300)); // the theme's own script
  shown.eval(source);
  // The theme's script makes a nameless landmark of each copy button; no rule of WCAG's.
  const found = await shown.axe.run(page, {{rules: {{"landmark-unique": {{enabled: false}}}}}});
  return [shown.getComputedStyle(page.body).backgroundColor, found.passes.length,
    found.violations.map((one) => [one.id, one.nodes.map((node) => node.html)])];
}};"""
    flags = [] if scheme == "light" else ["--blink-settings=preferredColorScheme=0"]
    found = of_each_page(site, tmp_path, 1200, asked, *flags)
    assert {page: one[2] for page, one in found.items() if one[2]} == {}
    assert all(passed > 15 for _, passed, _ in found.values())
    assert {ground for ground, *_ in found.values()} == {
        {"light": "rgb(255, 255, 255)", "dark": "rgb(30, 33, 41)"}[scheme]
    }
