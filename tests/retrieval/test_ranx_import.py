"""Where ranx's compiled code goes, and what is said where it cannot."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"} | environment
    return subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False
    )


IMPORT = "from rankprompt.retrieval.ranx_import import import_ranx; import_ranx()"


@pytest.mark.parametrize("before", ["", "import bm25s, numba; "])
def test_compiled_code_goes_to_our_cache(tmp_path: Path, before: str) -> None:
    found = python(before + IMPORT, RANKPROMPT_CACHE=str(tmp_path / "new"))
    assert found.returncode == 0, found.stderr
    assert any(path.name.startswith("metrics_") for path in (tmp_path / "new/numba").iterdir())


def test_a_cache_that_the_user_chose_is_kept(tmp_path: Path) -> None:
    found = python(IMPORT, NUMBA_CACHE_DIR=str(tmp_path), RANKPROMPT_CACHE=str(tmp_path / "no"))
    assert found.returncode == 0, found.stderr
    assert any(path.name.startswith("metrics_") for path in tmp_path.iterdir())
    assert not (tmp_path / "no").exists()


def test_a_cache_that_cannot_be_made_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = python(IMPORT, RANKPROMPT_CACHE=str(tmp_path / "file"))
    assert found.returncode == 0, found.stderr


def test_no_place_at_all_for_compiled_code_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = python(
        IMPORT,
        NUMBA_CACHE_DIR=str(tmp_path / "file"),
        NUMBA_CACHE_LOCATOR_CLASSES="UserProvidedCacheLocator",
    )
    assert "RankpromptError: ranx has no folder for its compiled code" in found.stderr
