"""Photographs the page of the service, with the ranking of its example by the embedded reranker.

Run with ``python -m benchmarks.service_page``; writes docs/service-page.png, which docs/service.md
shows. Wants what tests/service/page wants.
"""

import sys
from io import BytesIO
from pathlib import Path

from PIL import Image

from rankprompt import Reranker
from tests.service.page.conftest import browsing, ranked, serving

PICTURE = Path(__file__).parent.parent / "docs" / "service-page.png"


def photograph(target: Path, width: int = 1160, height: int = 856, scheme: str = "light") -> None:
    """Writes the upper part of the page as a PNG file; sizes in pixels."""
    with Reranker() as reranker, serving(reranker) as (address, _), browsing() as chromium:
        view = {"width": width, "height": height}
        page = chromium.new_page(viewport=view, color_scheme=scheme, reduced_motion="reduce")
        page.goto(address)
        page.get_by_role("button", name="Fill in an example").click()
        page.get_by_role("button", name="Rank", exact=True).click()
        ranked(page)
        page.get_by_role("button", name="Rank", exact=True).blur()
        picture = Image.open(BytesIO(page.screenshot()))
    # A third of Chromium's own file; this way of choosing colours keeps the rare ones.
    few = picture.convert("RGB").quantize(128, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(target, optimize=True)


if __name__ == "__main__":
    photograph(Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURE)
