"""Small stores, and processes that make them."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

# A folder in memory, where there is one: on disk every commit waits for the disk.
FAST = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None

# Run in a process of its own: many small blocks and commits, so that little data does.
PROLOGUE = """
import logging, os, resource, signal, sys
from pathlib import Path
from rankprompt.datasets import document_store_import as importing
from rankprompt.datasets.document_file import DocumentFile
from rankprompt.errors import RankpromptError
importing.BLOCK, importing.COMMIT_BYTES = 500, 5000
logging.basicConfig(level=logging.INFO, format="%(message)s")
source = DocumentFile(Path(sys.argv[1]))
"""
OPEN = PROLOGUE + "print(len(importing.open_store(source)))\n"

KILLED = (
    PROLOGUE
    + """
def progress(done, total):
    if done > total // 2:
        os.kill(os.getpid(), signal.SIGKILL)
with importing.watching(progress):
    importing.open_store(source)
"""
)

SLOW = (
    PROLOGUE
    + """
import time
with importing.watching(lambda done, total: time.sleep(0.01)):
    print(len(importing.open_store(source)))
"""
)

FULL = (
    PROLOGUE
    + """
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, resource.RLIM_INFINITY))
try:
    importing.open_store(source)
except RankpromptError as error:
    print(error)
"""
)


def texts(count: int) -> dict[str, dict[str, str]]:
    return {f"d{number}": {"text": f"文档 {number} " * 9} for number in range(count)}


def write(path: Path, documents: Mapping[str, Mapping[str, str]]) -> Path:
    lines = [
        json.dumps({"id": name, **fields}, ensure_ascii=False) for name, fields in documents.items()
    ]
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


def start(code: str, path: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def stores(cache: Path) -> list[Path]:
    return sorted((cache / "collections").glob("*.sqlite"))
