"""Plans of configurations."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from rankprompt.pipeline.config import RerankConfig
from rankprompt.planning.config import PlanConfig
from rankprompt.planning.plan import plan_rerank
from rankprompt.types import Qrels, Run
from tests.configs import change


def plan(
    job: RerankConfig,
    measure: Callable[[Run, Qrels], float] = lambda *_: 0.0,
    progress: Any = lambda *_: nullcontext(lambda _: None),
    **settings: Any,
) -> dict[str, Any]:
    config = PlanConfig(job, **{"calibrate": False, **settings})
    return plan_rerank(config, measure, progress).as_dict()


def planned(job: RerankConfig, **settings: Any) -> dict[str, dict[str, Any]]:
    return {row["method"]: row for row in plan(job, **settings)["methods"]}


def with_settings(job: RerankConfig, folder: Path, **settings: Any) -> RerankConfig:
    return change(job, **{"output": folder / "out.trec", **settings})
