"""The site, built once for all tests that read it."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


def build(folder: Path, config: Path = ROOT / "mkdocs.yml") -> "subprocess.CompletedProcess[str]":
    """Builds the site into a folder."""
    return _run(
        ["-m", "mkdocs", "build", "-f", str(config), "-d", str(folder)], NO_MKDOCS_2_WARNING="1"
    )


def run_python(code: str) -> "subprocess.CompletedProcess[str]":
    """Runs a program, with this checkout's package."""
    return _run(["-c", code], PYTHONPATH=str(ROOT), OMP_NUM_THREADS="1")


def _run(arguments: list[str], **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True, text=True, check=False, env={**os.environ, **environment},
    )  # fmt: skip


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site, the same one in all processes of a run; tests only read it."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, beside = shared / "site", shared / "site-building"
    with (shared / "site.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            completed = build(beside)
            assert completed.returncode == 0, completed.stderr
            beside.rename(folder)
    return folder
