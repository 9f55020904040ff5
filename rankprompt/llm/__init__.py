"""Language models, one backend a file, loaded only when asked for."""

from collections.abc import Callable, Sequence

from rankprompt.llm.base import Answer, AsyncLanguageModel, LanguageModel, Request, Usage

__all__ = [
    "Answer",
    "AsyncLanguageModel",
    "LanguageModel",
    "Request",
    "Usage",
    "load_model",
    "load_server",
    "token_counter",
]


def load_model(
    name: str,
    *,
    dtype: str = "auto",
    device: str = "auto",
    batch_tokens: int | None = None,
    trust_remote_code: bool = False,
    threads: int | None = None,
    starts_end: bool = False,
) -> LanguageModel:
    """Loads a model by name.

    Args:
        name: ``smollm2-135m`` (the embedded default), a folder, a ``.gguf`` file or a hub id.
        dtype: "auto", "float32", "bfloat16" or "float16".
        device: "auto", or a torch device such as "cpu" or "cuda:0".
        batch_tokens: padded tokens a batch, at the most; None for what suits the device.
        trust_remote_code: run code that comes with the model; never on by default.
        threads: of the processor; None for all that this process may use.
        starts_end: prompts that are asked together share starts with no later ones.

    Raises:
        ModelError: the model cannot be loaded; says what to install or to look at.
        InputError: no such device or dtype.
    """
    from rankprompt.llm import embedded
    from rankprompt.llm.local import model as local

    source = str(embedded.converted()) if name == embedded.EMBEDDED else name
    return local.load(
        source,
        dtype=dtype,
        device=device,
        batch_tokens=batch_tokens,
        trust_remote_code=trust_remote_code,
        shown_as=name,
        threads=threads,
        starts_end=starts_end,
    )


def load_server(name: str, *, base_url: str) -> AsyncLanguageModel:
    """Gives a model behind an OpenAI-compatible server.

    Args:
        name: the model's name there.
        base_url: such as ``http://localhost:8080/v1``.

    Raises:
        ModelError: the address cannot be used.
    """
    from rankprompt.llm.openai.model import OpenAIModel

    return OpenAIModel(name, base_url=base_url)


def token_counter(name: str) -> Callable[[Sequence[str]], list[int]]:
    """Gives a function that counts the tokens of texts by a model's tokenizer alone.

    Args:
        name: as for ``load_model``.

    Raises:
        ModelError: the tokenizer cannot be loaded.
    """
    from rankprompt.llm import embedded
    from rankprompt.llm.local import token_counter as counting

    return counting.counter(str(embedded.converted()) if name == embedded.EMBEDDED else name)
