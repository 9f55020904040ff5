"""The page in a real browser: it logs nothing, fits a phone, sorts, and axe finds no fault.

Wants Debian's ``chromium``; for the check of accessibility also axe-core, from npm, whose
``axe.min.js`` is named by ``RANKPROMPT_AXE`` or lies in ``.venv/node_modules``.
"""

import json
import os
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest

from rankprompt.eval import Grades, parse_measures
from rankprompt.eval.report import build_report, name_runs
from rankprompt.eval.report_page import format_page
from rankprompt.files import write_run

ROOT = Path(__file__).parent.parent.parent
# No sandbox: containers and root have none to give. The rest keeps it off the network.
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars", "--enable-logging=stderr", "--virtual-time-budget=20000",
)  # fmt: skip
EVIL = "</script><script>document.title='broken'</script><img src=x onerror=\"document.title=1\">"


def axe() -> str:
    """axe-core's source; skips where it is absent."""
    path = Path(os.environ.get("RANKPROMPT_AXE", ROOT / ".venv/node_modules/axe-core/axe.min.js"))
    if not path.is_file():
        pytest.skip(f"no axe-core: {path} is absent (npm install --prefix .venv axe-core)")
    return path.read_text("utf-8")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of three runs, one of whose queries tries to be a script."""
    folder = tmp_path_factory.mktemp("report")
    qrels = {f"q{n}": {f"d{n}{k}": k for k in range(4)} for n in range(12)}
    rankings = {
        "first": {q: sorted(of) for q, of in qrels.items()},
        "better": {q: sorted(of, reverse=n > 2) for n, (q, of) in enumerate(qrels.items())},
        "a-run-with-a-rather-long-name-that-must-not-break-the-layout": {
            q: sorted(of, reverse=n % 2 > 0) for n, (q, of) in enumerate(qrels.items())
        },
    }
    paths = [folder / f"{name}.trec" for name in rankings]
    for path, ranking in zip(paths, rankings.values(), strict=True):
        write_run(path, ranking, "t")
    measures = parse_measures(["ndcg@10", "mrr-l2"])
    report = build_report(
        name_runs(paths), Grades(qrels, measures), source="qrels",
        texts={"q3": EVIL, "q4": "\u202eright to left"},
    )  # fmt: skip
    path = folder / "report.html"
    path.write_text(format_page(report), "utf-8")
    return path


def browse(page: Path, folder: Path, *flags: str) -> tuple[str, list[str]]:
    """The page's DOM once it is still, and what it logged."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium (apt-get install chromium)")
    done = subprocess.run(
        [chromium, *FLAGS, f"--user-data-dir={folder / 'profile'}", *flags, page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def changed(page: Path, folder: Path, script: str) -> Path:
    """The page with a script of ours at its end, which its policy lets run."""
    html = page.read_text("utf-8")
    html = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", html)
    path = folder / "changed.html"
    path.write_text(html.replace("</body>", f"<script>{script}</script></body>"), "utf-8")
    return path


def result(dom: str) -> str:
    """What a script of ours left in the page."""
    found = re.search(r'<pre id="result">(.*?)</pre>', dom, re.DOTALL)
    assert found, "the script did not run to its end"
    return unescape(found[1])


SAY = """
const say = (value) => {
  const left = document.createElement("pre");
  left.id = "result"; left.textContent = JSON.stringify(value); document.body.append(left);
};
"""


def test_it_opens_without_a_word_on_the_console(page: Path, tmp_path: Path) -> None:
    dom, logged = browse(page, tmp_path, "--dump-dom")
    assert logged == []
    # Our script ran: its digest is the policy's. Theirs did not.
    assert "<button" in dom
    assert "<title>3 runs by ndcg@10</title>" in dom
    assert "<img" not in dom


@pytest.mark.parametrize("width", [375, 1200])
def test_nothing_but_wide_tables_scrolls_sideways(page: Path, tmp_path: Path, width: int) -> None:
    script = f"""{SAY}
const frame = document.createElement("iframe");
frame.style.cssText = "width: {width}px; height: 800px"; frame.srcdoc = document
  .documentElement.outerHTML.replace(/<script>[^]*<\\/script>/g, "");
frame.onload = () => say(frame.contentDocument.documentElement.scrollWidth);
document.body.append(frame);"""
    dom, _ = browse(changed(page, tmp_path, script), tmp_path, "--dump-dom")
    assert json.loads(result(dom)) <= width


def test_the_table_sorts_by_any_column(page: Path, tmp_path: Path) -> None:
    script = f"""{SAY}
const head = document.querySelector("table.sortable th:nth-child(3)");
const values = () => [...document.querySelectorAll("table.sortable tbody tr")]
  .map((row) => Number(row.cells[2].textContent));
head.firstChild.click(); const down = [head.ariaSort, values()];
head.firstChild.click(); say([down, [head.ariaSort, values()]]);"""
    dom, _ = browse(changed(page, tmp_path, script), tmp_path, "--dump-dom")
    (down, falling), (up, rising) = json.loads(result(dom))
    assert (down, up) == ("descending", "ascending")
    assert falling == sorted(falling, reverse=True) == rising[::-1]
    assert len(set(falling)) > 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault(page: Path, tmp_path: Path, scheme: str) -> None:
    source = axe().replace("</script", "<\\/script")
    script = f"""{SAY}
document.querySelectorAll("details").forEach((one) => one.open = true);
{source}
axe.run(document).then((found) => say([
  getComputedStyle(document.body).backgroundColor, found.passes.length,
  found.violations.map((one) => [one.id, one.nodes.map((node) => node.html)])]));"""
    flags = [] if scheme == "light" else ["--blink-settings=preferredColorScheme=0"]
    dom, _ = browse(changed(page, tmp_path, script), tmp_path, "--dump-dom", *flags)
    ground, passed, violations = json.loads(result(dom))
    assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 26)"}[scheme]
    assert violations == []
    assert passed > 30


def test_a_screenshot_shows_a_page_and_not_a_blank(page: Path, tmp_path: Path) -> None:
    picture = tmp_path / "shot.png"
    browse(page, tmp_path, f"--screenshot={picture}", "--window-size=1200,2400")
    from matplotlib.image import imread

    pixels = imread(picture)
    assert pixels.shape[:2] == (2400, 1200)
    ink = (pixels[:, :, :3].min(axis=2) < 0.9).mean(axis=1)
    # Text, tables and plots all the way down, none of it edge to edge.
    assert all(part.max() > 0.02 for part in (ink[:400], ink[400:1000], ink[1000:1700]))
    assert ink.max() < 0.95
