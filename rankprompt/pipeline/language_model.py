"""The job of asking a language model for what it writes, where no candidates are ranked."""

from rankprompt.errors import InputError
from rankprompt.judges.simulated.error_model import ErrorModel
from rankprompt.llm.registry import is_reranker
from rankprompt.pipeline.config import ORACLE, RerankConfig
from rankprompt.pipeline.engine_fields import check_engine_fields
from rankprompt.pipeline.job import RerankJob
from rankprompt.pipeline.model_names import check_model_name
from rankprompt.pipeline.server_fields import check_key, check_server_fields
from rankprompt.pipeline.unused_options import source_of

__all__ = ["language_model_job"]


def language_model_job(config: RerankConfig, cannot: str, *, asks: bool = True) -> RerankJob:
    """Checks, at no cost, who is to be asked, and gives the job that models are opened by.

    Args:
        config: the model, the budget and the cluster; the rest is left as it is.
        cannot: what an oracle or a reranker cannot do, for a message, as in "writes no queries".
        asks: whether the model will be asked, which may need a key.

    Returns:
        A job without a prompt.

    Raises:
        InputError: a field that cannot work; the message names it and says what would work.
    """
    name, budget = config.model.name, config.budget
    check_model_name(name)
    check_engine_fields(config.model)
    source, model = source_of(name)
    if source == "oracle" or is_reranker(name):
        kind = "an oracle" if name.startswith(ORACLE) else "a reranker"
        raise InputError(
            f"`model` {name}: {kind} {cannot}; name a language model, such as smollm2-135m or "
            "openai:MODEL"
        )
    if config.ray.address and source != "local":
        raise InputError("`ray` goes with a model that each worker loads")
    if budget.max_cost is not None and not (budget.price_in or budget.price_out):
        raise InputError("`max_cost` needs the prices of a million tokens: `price_in`, `price_out`")
    config = check_server_fields(config, model if source == "server" else None)
    if source == "server" and asks:
        check_key(config)
    return RerankJob(config, source, model, None, ErrorModel())
