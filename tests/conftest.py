"""Shared fixtures: where the test collections lie."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is no fault of the code; what hangs ends by pytest's own timeout.
settings.register_profile("rankprompt", deadline=None)
settings.load_profile("rankprompt")

# Haystack reads this when it is imported: tests report nothing to anyone.
os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"


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
