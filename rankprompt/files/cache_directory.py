"""Where rankprompt keeps what it can make again: converted weights, compiled code."""

import os
from pathlib import Path

import platformdirs

__all__ = ["cache_dir"]


def cache_dir(*parts: str) -> Path:
    """A folder of the cache, not made yet: under $RANKPROMPT_CACHE or the user's cache folder."""
    base = os.environ.get("RANKPROMPT_CACHE")
    return (Path(base) if base else platformdirs.user_cache_path("rankprompt")).joinpath(*parts)
