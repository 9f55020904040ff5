"""Names of models that cannot be meant: refused before a model hub is asked for them."""

from difflib import get_close_matches

from rankprompt.errors import InputError, UnknownNameError
from rankprompt.files.home import expand
from rankprompt.llm.embedded import EMBEDDED
from rankprompt.llm.registry import BACK_ENDS
from rankprompt.llm.rerankers.names import MINILM
from rankprompt.pipeline.config import ORACLE, SERVER, VLLM

__all__ = ["check_model_name"]

_EMBEDDED = (EMBEDDED, MINILM)
_SUFFIXES = (".gguf", ".onnx")
_QRELS = f"{ORACLE}QRELS.trec"
_KNOWN = (*_EMBEDDED, _QRELS, f"{SERVER}MODEL", "cross-encoder:ID", "vllm:ID", "rerank:MODEL")
_PREFIXES = ("oracle", *BACK_ENDS)
_HINT = "Or give a folder, a .gguf file or a hub id."


def check_model_name(name: str) -> None:
    """Checks the name of a model as far as that is possible without loading it.

    A name without a slash may be a hub id without an owner, as gpt2 is: it passes unless it is
    nearly a name of ours.

    Raises:
        UnknownNameError: the name is nearly one of ours, or begins with nearly one of our prefixes.
        InputError: the name is empty, a path that does not exist, a file that holds no model, or a
            prefix alone.
    """
    if not name.strip():  # which would be the current folder
        raise InputError(f"`model` is empty; leave it out for {MINILM}, or name a model")
    if name.startswith(ORACLE):
        if not name.removeprefix(ORACLE).strip():
            raise InputError(f"`model` {name}: give the qrels after the colon, as in {_QRELS}")
        return
    prefix, colon, source = name.partition(":")
    if prefix in BACK_ENDS and BACK_ENDS[prefix].server:
        return
    if colon and prefix in BACK_ENDS:
        if not source.strip():
            raise InputError(f"`model` {name}: write a folder or a hub id after the colon")
        inner = source.partition(":")[0]
        if ":" in source and inner in _PREFIXES:
            raise InputError(f"`model` {name} has two prefixes; write {source}, if that is meant")
        if source == EMBEDDED and BACK_ENDS[prefix].reranker:
            raise InputError(
                f"`model` {name}: {source} is a language model, and no classifier; write {source}"
            )
        name = source
    path = expand(name)
    if f"{prefix}:" == VLLM and (path.is_file() or name.endswith(_SUFFIXES)):
        raise InputError(f"`model` {VLLM}{name}: vLLM reads folders and hub ids; write {name}")
    if path.is_file() and path.suffix not in _SUFFIXES:
        raise InputError(
            f"`model` {name}: the file of a model ends in {' or '.join(_SUFFIXES)}; a model of "
            "several files is named by its folder"
        )
    if name in _EMBEDDED or path.exists():
        return
    prefix, colon, source = name.partition(":")
    # A hub id has one slash at the most, and no colon.
    meant_as_path = name.startswith((".", "/", "~")) or name.endswith(_SUFFIXES)
    if meant_as_path or (not colon and name.count("/") > 1):
        raise InputError(f"`model` {name}: no such file or folder")
    if "/" not in name and (near := get_close_matches(name.lower(), _EMBEDDED, n=1, cutoff=0.7)):
        raise UnknownNameError("model", name, _KNOWN, _HINT, meant=near[0])
    nearest = get_close_matches(prefix.lower(), _PREFIXES, n=1, cutoff=0.7)
    if (colon and (nearest or "/" not in name)) or name.lower() in _PREFIXES:
        meant = f"{nearest[0]}:{source or 'MODEL'}" if nearest else None
        raise UnknownNameError("model", name, _KNOWN, _HINT, meant=meant)
