"""A reranking job: a configuration that was validated, with what its fields stand for."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from rankprompt.datasets.passages import parse_fields
from rankprompt.eval.calibration import Calibration
from rankprompt.journal.budget import Budget
from rankprompt.judges.simulated.error_model import ErrorModel
from rankprompt.pipeline.config import RerankConfig
from rankprompt.prompts.prompt import Prompt
from rankprompt.rankers import Method, Ranker, RankerSettings, method
from rankprompt.types import QUESTION_NOUNS, QuestionKind

__all__ = ["BATCH_PRICE", "JudgeSource", "RerankJob"]

BATCH_PRICE = 0.5
"""The price of a token through OpenAI's batch API, as a share of its price at once."""

JudgeSource: TypeAlias = Literal["oracle", "local", "server", "teacher", "stages"]
"""Who judges: relevance grades, a model on this machine or behind a server, a cascade's teacher, or
a judge for each stage."""


@dataclass(frozen=True)
class RerankJob:
    """A configuration that was validated, with what its fields stand for.

    Attributes:
        config: the configuration with every gap filled, as the manifest shows it.
        source: who judges: an oracle, a local model, a server, a cascade's teacher, or "stages".
        model: the model's name, the oracle's qrels or the teacher's name, without a prefix; empty
            where there are stages.
        prompt: puts the questions; None for an oracle, and for a teacher that reads no prompt.
        errors: how an oracle's answers err.
        stages: the job of each stage that has a model of its own, the first stage first. Each
            reranks the first ``data.depth`` documents of the ranking before.
        calibration: turns the judge's own numbers into probabilities of relevance; None where
            scores mean what ``rankprompt.pipeline.scoring`` says.
    """

    config: RerankConfig
    source: JudgeSource
    model: str
    prompt: Prompt | None
    errors: ErrorModel
    stages: tuple["RerankJob", ...] = ()
    calibration: Calibration | None = None

    @property
    def single_jobs(self) -> tuple["RerankJob", ...]:
        """The jobs of the stages; where there are none, this job alone."""
        return self.stages or (self,)

    @property
    def title(self) -> str:
        """What ranks, in a few words for a progress bar."""
        if self.stages:
            return ", ".join(stage.title for stage in self.stages)
        judge = "an oracle" if self.source == "oracle" else Path(self.model).name
        where = f" on {self.config.ray.workers} workers" if self.config.ray.address else ""
        return f"{self.config.ranker.method} with {judge}{where}"

    @property
    def noun(self) -> str:
        """The noun for what is judged, such as "comparison"; "question" where stages differ."""
        if self.stages:
            nouns = {stage.noun for stage in self.stages}
            return nouns.pop() if len(nouns) == 1 else "question"
        return "window" if self.source == "teacher" else QUESTION_NOUNS[self.question]

    @property
    def method(self) -> Method | None:
        """The ranking method; None for a cascade's teacher, which asks no questions."""
        return None if self.source == "teacher" else method(self.config.ranker.method or "")

    @property
    def question(self) -> QuestionKind:
        """The kind of question that the method asks."""
        return method(self.config.ranker.method or "").question

    @property
    def settings(self) -> RankerSettings:
        """The settings of the ranker."""
        ranker = self.config.ranker
        return RankerSettings(
            ranker.k, ranker.passes, ranker.early_exit, ranker.comparisons, ranker.set_size,
            ranker.step, ranker.tournaments, self.config.seed,
        )  # fmt: skip

    @property
    def ranker(self) -> Ranker:
        """The method with its settings bound."""
        return method(self.config.ranker.method or "").bind(self.settings)

    @property
    def qrels(self) -> Path:
        """The relevance grades of an oracle."""
        assert self.source == "oracle", "only an oracle reads grades"
        return Path(self.model)

    @property
    def budget(self) -> Budget:
        """The most that may be spent, at the prices that are paid."""
        budget = self.config.budget
        share = BATCH_PRICE if self.config.model.batch_api else 1.0
        return Budget(
            budget.max_prompts, budget.max_tokens, budget.max_cost, share * budget.price_in,
            share * budget.price_out,
        )  # fmt: skip

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of a document that make its passage, in this order."""
        return parse_fields(self.config.data.fields)

    def estimate(self, documents: int) -> int:
        """About how many questions are asked over so many documents; a teacher's are documents."""
        if self.stages:
            return sum(stage.estimate(documents) for stage in self.stages)
        documents = min(documents, self.config.data.depth)
        return self.method.estimate(documents, self.settings) if self.method else documents
