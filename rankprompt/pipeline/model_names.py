"""Names of models that cannot be meant: refused before a model hub is asked for them."""

from difflib import get_close_matches

from rankprompt.errors import InputError, UnknownNameError
from rankprompt.files.home import expand
from rankprompt.llm.embedded import EMBEDDED
from rankprompt.llm.registry import BACK_ENDS
from rankprompt.llm.rerankers.names import MINILM
from rankprompt.pipeline.config import ORACLE, SERVER

__all__ = ["check_model_name"]

_EMBEDDED = (EMBEDDED, MINILM)
_KNOWN = (*_EMBEDDED, f"{ORACLE}QRELS.trec", f"{SERVER}MODEL", "cross-encoder:ID", "rerank:MODEL")
_PREFIXES = ("oracle", *BACK_ENDS)
_HINT = "Or give a folder, a .gguf file or a hub id."


def check_model_name(name: str) -> None:
    """Checks the name of a model as far as that is possible without loading it.

    A name without a slash may be a hub id without an owner, as gpt2 is: it passes unless it is
    nearly a name of ours.

    Raises:
        UnknownNameError: the name is nearly one of ours, or begins with nearly one of our prefixes.
        InputError: the name is a path that does not exist, or a prefix alone.
    """
    prefix, colon, source = name.partition(":")
    if prefix in BACK_ENDS and BACK_ENDS[prefix].server:
        return
    if colon and prefix in BACK_ENDS:
        if not source:
            raise InputError(f"`model` {name}: write a folder or a hub id after the colon")
        inner = source.partition(":")[0]
        if ":" in source and inner in _PREFIXES:
            raise InputError(f"`model` {name} has two prefixes; write {source}, if that is meant")
        if source == EMBEDDED and BACK_ENDS[prefix].reranker:
            raise InputError(
                f"`model` {name}: {source} is a language model, and no classifier; write {source}"
            )
        name = source
    if name in _EMBEDDED or expand(name).exists():
        return
    prefix, colon, source = name.partition(":")
    # A hub id has one slash at the most, and no colon.
    path = name.startswith((".", "/", "~")) or name.endswith(".gguf")
    if path or (not colon and name.count("/") > 1):
        raise InputError(f"`model` {name}: no such file or folder")
    if "/" not in name and (near := get_close_matches(name.lower(), _EMBEDDED, n=1, cutoff=0.7)):
        raise UnknownNameError("model", name, _KNOWN, _HINT, meant=near[0])
    nearest = get_close_matches(prefix.lower(), _PREFIXES, n=1, cutoff=0.6)
    if (colon and (nearest or "/" not in name)) or name.lower() in _PREFIXES:
        meant = f"{nearest[0]}:{source or 'MODEL'}" if nearest else ""
        raise UnknownNameError("model", name, _KNOWN, _HINT, meant=meant)
