"""Shared fixtures: where the test collections lie."""

import gc
import os
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is no fault of the code; what hangs ends by pytest's own timeout. Each run draws
# other examples, so fewer in each run find the same in time.
settings.register_profile("rankprompt", deadline=None, max_examples=50)
settings.load_profile("rankprompt")

# Haystack reads this when it is imported: tests report nothing to anyone.
os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"


def pytest_collection_finish() -> None:
    """What is imported by now lives to the end; no garbage collection need look at it again."""
    gc.freeze()


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real test collections (DESIGN.md, Data at hand); skips where absent."""
    folder = Path(
        os.environ.get(
            "RANKPROMPT_TEST_DATA", Path(__file__).parent.parent.parent / "shared" / "data"
        )
    )
    if not folder.is_dir():
        pytest.skip(f"no test collections: {folder} is absent (set RANKPROMPT_TEST_DATA)")
    return folder
