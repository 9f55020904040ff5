"""The groups of the configuration that say what may be spent, and on which machines."""

from dataclasses import dataclass

from rankprompt.pipeline.config_option import option

__all__ = ["BudgetConfig", "RayConfig"]


@dataclass(frozen=True)
class BudgetConfig:
    """The most that may be spent. Questions beyond the budget count as ties."""

    max_prompts: int | None = option(
        None, "Ask the model at most this many prompts.", otherwise="no limit", minimum=1
    )
    max_tokens: int | None = option(
        None, "Let the model read and write at most this many tokens.", otherwise="no limit",
        minimum=1,
    )  # fmt: skip
    max_cost: float | None = option(
        None, "Spend at most this much money, at the prices given.", otherwise="no limit", minimum=0
    )
    price_in: float = option(0.0, "The price of a million tokens read.", minimum=0)
    price_out: float = option(0.0, "The price of a million tokens written.", minimum=0)


@dataclass(frozen=True)
class RayConfig:
    """The Ray cluster whose workers rerank."""

    address: str | None = option(
        None,
        "Rerank on a Ray cluster: local, auto or HOST:PORT (a cluster with tokens needs "
        "RAY_AUTH_MODE=token). Every machine needs the same rankprompt and model.",
        otherwise="no cluster",
        flag="ray",
    )
    workers: int = option(
        2, "Workers on the cluster, each with a model of its own.", minimum=1, maximum=10_000
    )
    gpus_per_worker: float | None = option(
        None,
        "GPUs that each worker reserves.",
        otherwise="1 where the cluster has any",
        minimum=0,
    )
    together: int | None = option(
        None,
        "Queries that a worker reranks at a time, at the most: their questions are asked together, "
        "which fills batches though a sort asks one after the other.",
        otherwise="8 on a CPU, 64 on a GPU",
        minimum=1,
        maximum=10_000,
    )
