"""The entries of a reranking's manifest that describe the judge and its costs."""

from typing import Protocol

from rankprompt.journal.budget import Budget
from rankprompt.journal.costs import Costs
from rankprompt.prompts.prompt import Prompt

__all__ = ["DescribedModel", "describe_costs", "describe_judge"]


class DescribedModel(Protocol):
    """What a manifest needs to know of a model or a teacher.

    A language model also has ``context_length``; one on this machine has ``dtype``.
    """

    @property
    def name(self) -> str:
        """The model's name, as the user wrote it."""

    @property
    def fingerprint(self) -> str:
        """Identifies the model's weights."""


def describe_judge(
    model: DescribedModel | None, prompt: Prompt | None, question: str
) -> dict[str, object]:
    """Describes the judge: an oracle if there is no model, otherwise the model and its prompt.

    Args:
        model: the model or teacher; None for an oracle.
        prompt: the prompt; None if the model reads none.
        question: the kind of question, such as "comparison", or "teacher" if windows are scored.
    """
    if model is None:
        return {"judge": "oracle"}
    return {
        "judge": "pairwise" if question == "comparison" else question,
        "name": model.name,
        "fingerprint": model.fingerprint,
        "context_length": getattr(model, "context_length", None),
        # Unknown for a model of a server or a cluster.
        "dtype": getattr(model, "dtype", None),
        "prompt": None if prompt is None else _describe_prompt(prompt),
    }


def describe_costs(costs: Costs, budget: Budget) -> dict[str, object]:
    """Describes the prompts, tokens and seconds that a model took, and their price."""
    return {
        "prompts": costs.prompts,
        "prompts_from_journal": costs.prompts_from_journal,
        "model_batches": costs.batches,
        "largest_batch": costs.largest_batch,
        "mean_batch": round(costs.prompts / costs.batches, 1) if costs.batches else 0,
        "prompt_tokens": costs.tokens,
        "padding_tokens": costs.padding,
        "reused_tokens": costs.reused,
        "written_tokens": costs.written,
        "retries": costs.retries,
        "cost": round(budget.price(costs), 6),
        "model_seconds": round(costs.seconds, 3),
    }


def _describe_prompt(prompt: Prompt) -> dict[str, object]:
    description: dict[str, object] = {
        "name": prompt.name,
        "kind": prompt.kind,
        "text": str(prompt.text),
        "target": str(prompt.target),
        "options": prompt.options,
        "chat": prompt.chat,
    }
    if prompt.grades:
        description["grades"] = prompt.grades
    if prompt.labels:
        description |= {"passage": str(prompt.passage), "answer": str(prompt.answer)}
    return description
