"""The configuration of a plan, and the plan."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rankprompt.pipeline.config import RerankConfig
from rankprompt.planning.calibration import Speed
from rankprompt.planning.simulation import MethodPlan

__all__ = ["Plan", "PlanConfig"]


@dataclass(frozen=True)
class PlanConfig:
    """The configuration of a plan.

    Attributes:
        rerank: the reranking; its noise, prior and output play no part. A method of stages is
            planned beside the others.
        qrels: grades for the simulated judge; None for those of the oracle that ``rerank`` names,
            or synthetic ones.
        seeds: simulations whose mean is taken, wherever chance plays a part.
        calibrate: whether to measure the model's speed, which takes a few seconds.
        judge_model: an error model, or ``fitted:JOURNAL`` for a judge that errs as the model did in
            that journal; costs are then counted before this judge. It needs known grades. None for
            a perfect judge, and judges that err in 10% and 20% of their answers.
    """

    rerank: RerankConfig = field(default_factory=RerankConfig)
    qrels: Path | None = None
    seeds: int = 3
    calibrate: bool = True
    judge_model: str | None = None


@dataclass(frozen=True)
class Plan:
    """A plan; ``methods`` has the methods with the fewest comparisons first.

    Prompts that a method or a later stage asks again are not counted again, for the journal answers
    them; tokens are those of whole prompts, although a local model runs what prompts share but
    once. A method whose questions the job's prompt cannot put is priced with the default prompt of
    its kind. Where the error model is for pairs alone, other methods are left out.

    Where ``staged``, ``methods`` has the stages in their order, each with the quality of the
    ranking that it leaves, and their sum as "all stages".
    """

    settings: dict[str, Any]
    queries: int
    documents: int
    one_passage_at_a_time: bool
    skipped_documents: int
    grades: str
    unjudged_queries: int
    seeds: int
    judge_model: str | None
    calibration: Speed | None
    tokens_guessed: bool
    first_stage: float
    methods: list[MethodPlan]
    staged: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The plan as JSON can hold it."""
        calibration = self.calibration._asdict() if self.calibration else None
        methods = [entry._asdict() for entry in self.methods]
        return {**asdict(self), "calibration": calibration, "methods": methods}
