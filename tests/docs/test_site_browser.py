"""The site in a real browser: no page logs anything, nor scrolls sideways on a phone.

Wants Debian's ``chromium``.
"""

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest

from tests.docs.test_site import build
from tests.eval.test_report_browser import FLAGS

PHONE = 375
# Each page in turn, in a frame as wide as a phone.
SCRIPT = """
<iframe style="width: WIDTHpx; height: 800px"></iframe><pre id="result"></pre><script>
const pages = PAGES, found = {}, frame = document.querySelector("iframe");
frame.onload = () => {
  const shown = frame.contentDocument;
  found[pages.shift()] = [shown.documentElement.scrollWidth, shown.title];
  if (pages.length) frame.src = pages[0];
  else document.querySelector("pre").textContent = JSON.stringify(found);
};
frame.src = pages[0];
</script>"""


def test_no_page_scrolls_sideways_on_a_phone_or_logs_a_word(tmp_path: Path) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium (apt-get install chromium)")
    site = tmp_path / "site"
    assert build(site).returncode == 0
    pages = [str(one.relative_to(site)) for one in site.rglob("*.html") if one.name != "404.html"]
    frame = site / "frame.html"
    frame.write_text(SCRIPT.replace("WIDTH", str(PHONE)).replace("PAGES", json.dumps(pages)))
    command = [chromium, *FLAGS, "--dump-dom", "--allow-file-access-from-files", frame.as_uri()]
    for attempt in range(3):  # Chromium may hang as it starts, with all processors busy
        try:
            ran = subprocess.run(
                [*command, f"--user-data-dir={tmp_path / f'profile{attempt}'}"],
                capture_output=True, text=True, timeout=60, check=True,
            )  # fmt: skip
            break
        except subprocess.TimeoutExpired:
            if attempt == 2:
                raise
    assert [line for line in ran.stderr.splitlines() if "CONSOLE" in line] == []
    result = re.search(r'<pre id="result">(.+?)</pre>', ran.stdout, re.DOTALL)
    assert result, "not all pages were loaded"
    found = json.loads(unescape(result[1]))
    assert set(found) == set(pages)
    assert all(title.endswith("rankprompt") for _, title in found.values())
    assert {page for page, (width, _) in found.items() if width > PHONE} == set()
