"""The cache directory: converted weights, document stores, indexes and compiled code."""

import os
from pathlib import Path

import platformdirs

__all__ = ["cache_dir"]


def cache_dir(*parts: str) -> Path:
    """Returns a path below $RANKPROMPT_CACHE, or below the user's cache directory if it is unset.

    The folder is not created.
    """
    base = os.environ.get("RANKPROMPT_CACHE")
    return (Path(base) if base else platformdirs.user_cache_path("rankprompt")).joinpath(*parts)
