"""Who judges by a model's name, and the options that play no part with that judge and method."""

from rankprompt.cascade.teachers import MINILM, is_served, llm_of
from rankprompt.llm.registry import BACK_ENDS, is_reranker
from rankprompt.pipeline.config import ORACLE, SERVER, RerankConfig
from rankprompt.pipeline.config_methods import CASCADE
from rankprompt.pipeline.engine_fields import ENGINE_FIELDS, NOT_FOR_VLLM, is_vllm
from rankprompt.pipeline.job import JudgeSource
from rankprompt.pipeline.server_fields import LANGUAGE_MODEL_FIELDS, LOCAL_FIELDS, SERVER_FIELDS
from rankprompt.rankers import method
from rankprompt.types import PairwiseQuestion

__all__ = ["source_of", "unused_options"]

# What a cascade's teacher does not use; the second line, what only a language model uses.
_NOT_FOR_TEACHERS = (
    "prior", "passage_tokens", "ray", "mode", "order", "decide", "comparisons", "early_exit",
    "passes", "noise", "judge_model", "input_order", "set_size", "step", "tournaments", "thinking",
    "tokenizer", "revision", *LANGUAGE_MODEL_FIELDS, *SERVER_FIELDS, *ENGINE_FIELDS,
)  # fmt: skip
_NOT_FOR_CROSS_ENCODERS = (
    "model", "prompt", "instruction", *LOCAL_FIELDS, "max_prompts", "max_tokens", "max_cost",
)  # fmt: skip
# Where no window may be without a score, none may be refused.
_NOT_FOR_SERVED_TEACHERS = (
    "model", "instruction", *LOCAL_FIELDS, "reasoning_effort", "skip_refused", "batch_api",
)  # fmt: skip


def source_of(name: str) -> tuple[JudgeSource, str]:
    """Who judges, and the model's name without a prefix of ours."""
    if name.startswith(ORACLE):
        return "oracle", name.removeprefix(ORACLE)
    if name.startswith(SERVER):
        return "server", name.removeprefix(SERVER)
    back_end = BACK_ENDS.get(name.partition(":")[0])
    return "server" if back_end and back_end.server else "local", name


def unused_options(config: RerankConfig) -> set[str]:
    """The names of options that play no part with a configuration's method and model.

    Args:
        config: names a method.

    Raises:
        UnknownNameError: no method has this name.
    """
    if config.ranker.method == CASCADE:
        teacher = config.cascade.teacher or MINILM
        if is_served(teacher):
            served = {"tokenizer", *SERVER_FIELDS}
            return {*_NOT_FOR_TEACHERS} - served | {*_NOT_FOR_SERVED_TEACHERS}
        language_model = llm_of(teacher)
        only_others = ("model",) if language_model else _NOT_FOR_CROSS_ENCODERS
        return {*_NOT_FOR_TEACHERS, *only_others}
    source, _ = source_of(config.model.name)
    unused = {"teacher", "aggregate"}
    if source != "server":
        unused |= {"thinking", *SERVER_FIELDS}
    else:
        unused |= {*LOCAL_FIELDS}
    unused |= {*(NOT_FOR_VLLM if is_vllm(config.model.name) else ENGINE_FIELDS)}
    if source != "oracle":
        unused |= {"noise", "judge_model"}
    if source == "oracle" or is_reranker(config.model.name):
        unused |= {"mode", "batch_api", "tokenizer", *LANGUAGE_MODEL_FIELDS}
    if method(config.ranker.method or "").question is not PairwiseQuestion:
        unused |= {"prior", "decide", "order"}
    return unused
