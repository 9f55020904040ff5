"""The kinds of questions: which prompts and judges serve each, and what is taken by default."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from rankprompt.errors import InputError
from rankprompt.journal.cached_model import Answering, AsyncAnswering
from rankprompt.judges.adapters.base import SetReading
from rankprompt.judges.adapters.listwise import LikeliestFirst, Permutation, Selected, SelectedLabel
from rankprompt.judges.adapters.pairwise import reading
from rankprompt.judges.adapters.pointwise import ExpectedGrade, QueryLikelihood, WrittenGrade
from rankprompt.judges.pairwise import AsyncPairwiseJudge, OracleJudge, PairwiseJudge
from rankprompt.judges.setwise import AsyncSetJudge, SetJudge
from rankprompt.judges.simulated.error_model import JudgeModel
from rankprompt.judges.simulated.set_oracle import SetOracle
from rankprompt.prompts.prompt import Prompt
from rankprompt.rankers import METHODS, method
from rankprompt.types import Comparison, Grading, Listing, Qrels, Question, Selection

if TYPE_CHECKING:
    from rankprompt.pipeline.config import Job

__all__ = [
    "AsyncModelJudge",
    "Kind",
    "ModelJudge",
    "answers",
    "check_fit",
    "default_method",
    "default_prompt",
    "judge",
    "oracle",
    "server_judge",
    "set_reading",
]

Kind: TypeAlias = type[Question]
ModelJudge: TypeAlias = PairwiseJudge | SetJudge
AsyncModelJudge: TypeAlias = AsyncPairwiseJudge | AsyncSetJudge
_OnJudged: TypeAlias = Callable[[int], None]

# By a prompt's kind: the questions that it answers, and the method that goes well with it.
_ANSWERS: dict[str, tuple[Kind, ...]] = {
    "choice": (Comparison,),
    "contrast": (Comparison,),
    "likelihood": (Comparison, Grading),
    "grades": (Grading,),
    "selection": (Selection,),
    "listing": (Listing,),
}
_METHODS = {
    # Where a document is read once for all its pairs, all pairs are as cheap as a few.
    "likelihood": "allpair",
    "grades": "pointwise",
    "selection": "setwise-heapsort",
    "listing": "listwise",
}
# For the embedded model, and for any other. The embedded model's are measured: docs/default.md.
_PROMPTS: dict[Kind, tuple[str, str]] = {
    Comparison: ("query-likelihood-demonstrations", "prp"),
    Grading: ("query-likelihood-demonstrations", "relevance-yes-no"),
    Selection: ("setwise", "setwise"),
    Listing: ("listwise", "listwise"),
}

# By a prompt's kind: how its answers are scored, and how they are read where they are written.
_READINGS: dict[str, tuple[Callable[[Prompt], SetReading], Callable[[Prompt], SetReading]]] = {
    "likelihood": (QueryLikelihood, QueryLikelihood),
    "grades": (ExpectedGrade, WrittenGrade),
    "selection": (Selected, SelectedLabel),
    "listing": (LikeliestFirst, Permutation),
}


def answers(prompt: Prompt, kind: Kind) -> bool:
    """Whether a prompt puts questions of this kind."""
    return kind in _ANSWERS[prompt.kind]


def default_prompt(kind: Kind, *, embedded: bool) -> str:
    """The prompt for questions of a kind, where the user names none."""
    ours, others = _PROMPTS[kind]
    return ours if embedded else others


def default_method(prompt: Prompt | None) -> str:
    """The method for a prompt, or for an oracle, where the user names none."""
    return _METHODS.get(prompt.kind, "heapsort") if prompt else "heapsort"


def check_fit(prompt: Prompt, name: str) -> None:
    """Checks that a prompt puts the questions that a method asks.

    Raises:
        InputError: it does not; says which methods it serves.
    """
    kind = method(name).question
    if not answers(prompt, kind):
        served = [one for one, known in METHODS.items() if answers(prompt, known.question)]
        raise InputError(
            f"--method {name} asks {kind.__name__.lower()}s, and --prompt {prompt.name} is of kind "
            f"{prompt.kind}: leave one of them out, or take --method {', '.join(served)}"
        )


def set_reading(prompt: Prompt, mode: str) -> SetReading:
    """How a prompt puts questions that are no pairs; ``mode`` as in ``reading``."""
    scored, written = _READINGS[prompt.kind]
    return (written if mode == "generation" else scored)(prompt)


def judge(
    kind: Kind, answering: Answering, prompt: Prompt, job: "Job", on_judged: _OnJudged
) -> ModelJudge:
    """A model on this machine, asked questions of a kind."""
    one = PairwiseJudge if kind is Comparison else SetJudge
    return one(answering, **_asking(kind, prompt, job), on_judged=on_judged)


def server_judge(
    kind: Kind, answering: AsyncAnswering, prompt: Prompt, job: "Job", on_judged: _OnJudged
) -> AsyncModelJudge:
    """A model behind a server, asked questions of a kind."""
    one = AsyncPairwiseJudge if kind is Comparison else AsyncSetJudge
    return one(answering, **_asking(kind, prompt, job), on_judged=on_judged)


def _asking(kind: Kind, prompt: Prompt, job: "Job") -> dict[str, Any]:
    """What is asked and how, as the judges of a kind take it."""
    if kind is Comparison:
        return {"reading": reading(prompt, job.mode), **job.judging}
    return {"reading": set_reading(prompt, job.mode), "passage_tokens": job.passage_tokens}


def oracle(
    kind: Kind, qrels: Qrels, *, errors: JudgeModel, seed: int, on_judged: _OnJudged, **pairs: Any
) -> OracleJudge | SetOracle:
    """The grades, asked questions of a kind.

    Args:
        kind: of the questions.
        qrels: as of ``OracleJudge``, like the other settings.
        errors: how answers are wrong; about other questions than pairs, as ``flip`` or ``gap``.
        seed: of the errors.
        on_judged: called with the number of questions judged.
        pairs: settings that other questions do not have.

    Raises:
        InputError: errors that only answers about pairs have.
    """
    if kind is Comparison:
        return OracleJudge(qrels, errors=errors, seed=seed, on_judged=on_judged, **pairs)
    if not errors.of_all_kinds:
        raise InputError(
            f"--judge-model {errors} says how answers about pairs err; about "
            f"{kind.__name__.lower()}s, use gap=S or flip=P"
        )
    return SetOracle(
        qrels, noise=errors.flip or 0.0, strength=errors.strength, seed=seed, on_judged=on_judged
    )
