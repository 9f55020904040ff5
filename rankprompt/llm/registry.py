"""The table of back ends, each imported at its first use.

To add a back end, write a module that offers ``load`` and add its line to ``BACK_ENDS``: a model
name that begins with the line's key and a colon then chooses it. Other names belong to the local
back end in ``load_model`` (or to cross-encoders and heads, where a folder holds one), and to
OpenAI-compatible servers in ``load_server``.
"""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, NamedTuple

from rankprompt.errors import InputError, naming_extras, require
from rankprompt.llm.adapter_folders import resolve_adapted
from rankprompt.llm.base import AsyncLanguageModel, LanguageModel
from rankprompt.llm.local.variant import Variant
from rankprompt.llm.openai.settings import ServerSettings
from rankprompt.llm.rerankers.head_files import is_head
from rankprompt.llm.rerankers.names import MINILM, is_classifier
from rankprompt.llm.vllm.settings import EngineSettings

__all__ = ["BACK_ENDS", "BackEnd", "is_reranker", "load_model", "load_server", "split_prefix"]


class BackEnd(NamedTuple):
    """The module of a back end, whether its models run behind a server, and are rerankers.

    A reranker answers requests that hold a passage; other models do not.

    The module's ``load`` takes the arguments of ``load_model``, the last ones as a ``Variant``, and
    ``shown_as``, the name to show, and returns a LanguageModel; for a server, those of
    ``load_server``, and an AsyncLanguageModel.
    """

    module: str
    server: bool = False
    reranker: bool = False


BACK_ENDS = {
    "local": BackEnd("rankprompt.llm.local.lazy"),
    "vllm": BackEnd("rankprompt.llm.vllm.model"),
    "cross-encoder": BackEnd("rankprompt.llm.rerankers.cross_encoder", reranker=True),
    "head": BackEnd("rankprompt.llm.rerankers.head", reranker=True),
    "openai": BackEnd("rankprompt.llm.openai.loading", server=True),
    "rerank": BackEnd("rankprompt.llm.rerankers.server", server=True, reranker=True),
}


def split_prefix(name: str) -> tuple[str, str]:
    """Splits a model's name into the prefix of a back end with its colon, if any, and the rest."""
    key, colon, source = name.partition(":")
    return (key + colon, source) if source and key in BACK_ENDS else ("", name)


def is_reranker(name: str) -> bool:
    """Whether a model's name, as a user writes it, names a reranker.

    That is ``ms-marco-minilm-l12``, a name with a reranker's prefix, a folder that holds a sequence
    classifier, an ONNX model or a head (``rankprompt distil``), or an ``.onnx`` file. A hub id says
    nothing: it needs the prefix.
    """
    prefix, _ = split_prefix(name)
    if prefix:
        return BACK_ENDS[prefix[:-1]].reranker
    return name == MINILM or is_head(name) or is_classifier(name)


def load_model(
    name: str,
    *,
    dtype: str = "auto",
    device: str = "auto",
    batch_tokens: int | None = None,
    trust_remote_code: bool = False,
    threads: int | None = None,
    revision: str | None = None,
    adapter: str | None = None,
    tokenizer: str | None = None,
    quantize: str | None = None,
    attention: str | None = None,
    engine: EngineSettings | None = None,
) -> LanguageModel:
    """Loads a model that runs in this process.

    The weights of a local model that was loaded before on this machine, and whose files have not
    changed since, are loaded by the first call of ``plan`` or ``answer``, which then raises.

    Args:
        name: ``smollm2-135m`` or ``ms-marco-minilm-l12`` (the embedded models), a folder, a
            ``.gguf`` or ``.onnx`` file, a hub id, or ``cross-encoder:`` or ``vllm:`` and one of
            these. The folder of a LoRA adapter stands for the base model that it names with it.
        dtype: "auto", "float32", "bfloat16" or "float16".
        device: "auto", or a torch device such as "cpu" or "cuda:0". A model that is too large for
            one card is spread over all where no card is named ("auto" or "cuda").
        batch_tokens: maximum padded tokens of a batch; None for the device's default.
        trust_remote_code: run code that comes with the model; never the default.
        threads: CPU threads; None for as many as this process may use.
        revision: a branch, tag or commit of a hub model.
        adapter: a LoRA adapter in PEFT's form, as a folder or a hub id.
        tokenizer: another tokenizer than a local model's own, as a folder or hub id.
        quantize: "4bit" or "8bit" weights of a local model, by bitsandbytes on a CUDA device.
        attention: "sdpa", "flash_attention_2" or "eager"; None for a local model's default.
        engine: how vLLM's engine is started, for a model in vLLM; None for the defaults.

    Raises:
        ModelError: the model cannot be loaded; the message says what to install or to check.
        MissingPackageError: this installation runs no models, or lacks what an argument needs.
        InputError: no such device or dtype, or a setting that plays no part with this model.
    """
    from rankprompt.llm.embedded import resolve

    default = "head" if is_head(name) else "cross-encoder" if is_reranker(name) else "local"
    load, source = _back_end(name, default)
    source, adapter = resolve_adapted(source, adapter)
    variant = Variant(revision, adapter, tokenizer, quantize, attention)
    own: dict[str, Any] = {"variant": variant}
    if split_prefix(name)[0] == "vllm:":
        variant.refuse_others(name, "revision", "adapter")
        own = {"revision": revision, "adapter": adapter, "engine": engine}
    elif engine:
        raise InputError("settings of an engine go with a model vllm:ID")
    elif default == "local":
        require("torch")
    with naming_extras():
        model: LanguageModel = load(
            resolve(source),
            dtype=dtype,
            device=device,
            batch_tokens=batch_tokens,
            trust_remote_code=trust_remote_code,
            shown_as=name,
            threads=threads,
            **own,
        )
    return model


def load_server(
    name: str,
    *,
    base_url: str | Sequence[str],
    tokenizer: str | None = None,
    settings: ServerSettings | None = None,
) -> AsyncLanguageModel:
    """Returns a model behind a server; ``open`` and requests connect.

    Args:
        name: the model's name at the server.
        base_url: such as ``http://localhost:8080/v1``; or those of several servers with the same
            model, which share its calls.
        tokenizer: the model's own, as a folder; None for the server's ``/tokenize`` or an estimate.
        settings: how it is called; None for the defaults.

    Raises:
        ModelError: the address, the API key or the tokenizer cannot be used.
    """
    load, source = _back_end(name, "openai")
    model: AsyncLanguageModel = load(
        source, base_url=base_url, tokenizer=tokenizer, settings=settings
    )
    return model


def _back_end(name: str, default: str) -> tuple[Callable[..., Any], str]:
    """Returns the ``load`` of the back end for a model name, and the name without its prefix."""
    key, _, source = name.partition(":")
    back_end = BACK_ENDS[default]
    chosen = BACK_ENDS.get(key)
    # A server's names may contain colons, so its default's own key is left in the name.
    if source and chosen and chosen.server == back_end.server and key != "openai":
        back_end, name = chosen, source
    with naming_extras():
        return import_module(back_end.module).load, name
