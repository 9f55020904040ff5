"""The settings of a reranking, and what of them its parts take."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rankprompt.datasets.passages import FIELDS
from rankprompt.journal.budget import Budget
from rankprompt.judges.registry import default_prompt
from rankprompt.judges.simulated.error_model import parse_error_model
from rankprompt.rankers import Ranker, Sets, method
from rankprompt.types import PairwiseQuestion, Question

__all__ = ["CASCADE", "EMBEDDED_PROMPT", "ORACLE", "SERVER", "Job"]

CASCADE = "cascade"
"""The method that asks no pairs: a teacher scores windows."""
ORACLE = "oracle:"
SERVER = "openai:"
EMBEDDED_PROMPT = default_prompt(PairwiseQuestion, embedded=True)


@dataclass(frozen=True)
class Job:
    """The settings of a reranking; None stands for "what suits the others".

    The options of ``rankprompt rerank`` explain them, and their defaults live here alone.
    """

    run: Path | None
    queries: Path | None
    docs: Path | None
    output: Path
    dataset: str | None = None
    split: str | None = None
    fields: str = ",".join(FIELDS)
    cascade: str | None = None
    keep: int = 4
    window: int = 50
    overlap: int = 7
    window_unit: str = "tokens"
    teacher: str | None = None
    aggregate: str | None = None
    model: str = "smollm2-135m"
    method: str | None = None
    k: int = 10
    passes: int | None = None
    early_exit: bool = False
    comparisons: int | None = None
    set_size: int | None = None
    step: int | None = None
    tournaments: int | None = None
    depth: int = 100
    prompt: str | None = None
    mode: str = "scoring"
    order: str = "both"
    decide: str | None = None
    prior: float | None = None
    passage_tokens: int | None = None
    input_order: str = "given"
    limit: int | None = None
    seed: int = 0
    noise: float = 0.0
    judge_model: str | None = None
    skip_missing: bool = False
    journal: Path | None = None
    dtype: str = "auto"
    device: str = "auto"
    batch_tokens: int | None = None
    threads: int | None = None
    trust_remote_code: bool = False
    base_url: str | None = None
    concurrency: int = 16
    max_prompts: int | None = None
    max_tokens: int | None = None
    max_cost: float | None = None
    price_in: float = 0.0
    price_out: float = 0.0
    ray: str | None = None
    workers: int = 2
    gpus_per_worker: float | None = None

    @property
    def server(self) -> str | None:
        """The model's name at a server, where ``model`` names one."""
        return self.model.removeprefix(SERVER) if self.model.startswith(SERVER) else None

    @property
    def budget(self) -> Budget:
        """How much may be spent."""
        return Budget(
            self.max_prompts, self.max_tokens, self.max_cost, self.price_in, self.price_out
        )

    @property
    def loading(self) -> dict[str, Any]:
        """How a local model is loaded, as ``load_model`` takes it."""
        return {
            "dtype": self.dtype,
            "device": self.device,
            "batch_tokens": self.batch_tokens,
            "trust_remote_code": self.trust_remote_code,
            "threads": self.threads,
        }

    @property
    def judging(self) -> dict[str, Any]:
        """How pairs are put to a model, as ``PairwiseJudge`` takes it; resolved."""
        return {
            "mode": self.mode,
            "order": self.order,
            "decide": self.decide or "agreement",
            "seed": self.seed,
            "passage_tokens": self.passage_tokens,
        }

    @property
    def erring(self) -> dict[str, Any]:
        """How an oracle errs, as ``PairwiseOracle`` takes it; resolved."""
        errors = parse_error_model(self.judge_model or f"flip={self.noise}")
        return {"errors": errors, "order": self.order, "decide": self.decide, "seed": self.seed}

    @property
    def arranging(self) -> dict[str, Any]:
        """What the ranker asks and how it meets the documents, as ``rerank`` takes it; resolved."""
        return {"question": self.question, "input_order": self.input_order, "seed": self.seed}

    @property
    def question(self) -> type[Question]:
        """What the method asks; resolved."""
        return method(self.method or "").question

    @property
    def shown(self) -> tuple[str, ...]:
        """The fields of a document that make the passage, in this order."""
        return tuple(filter(None, self.fields.replace(",", " ").split()))

    def ranker(self, name: str) -> Ranker:
        """The method of this name, its settings bound."""
        passes = self.passes or self.k
        return method(name).ranker(self.k, passes, self.early_exit, self.comparisons, self._sets)

    def estimate(self, name: str, documents: int) -> int:
        """About how many questions the method of this name will ask over so many documents.

        The cascade asks none; its documents are counted.
        """
        if name == CASCADE:
            return documents
        passes = self.passes or self.k
        return method(name).estimate(documents, self.k, passes, self.comparisons, self._sets)

    @property
    def _sets(self) -> Sets:
        return Sets(self.set_size, self.step, self.tournaments, self.seed)

    @property
    def oracle(self) -> Path | None:
        """The qrels of an oracle judge, where ``model`` names one."""
        return Path(self.model.removeprefix(ORACLE)) if self.model.startswith(ORACLE) else None
